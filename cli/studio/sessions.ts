/**
 * The tabs of the browser that look at the studio: each with its own events and jobs, all with the same model
 * and history.
 *
 * @module
 */

import { EventFeed } from "./event_feed.ts";
import type { StudioEvent } from "./protocol.ts";

/** Tabs at the most; of those that nobody looks at, the oldest make room. */
const MOST = 64;

/** The feeds of all tabs. */
export class Sessions {
  readonly #feeds = new Map<string, EventFeed>();
  readonly #isBusy: (session: string) => boolean;

  /** @param isBusy Whether a tab has jobs that have not ended, and must be kept. */
  constructor(isBusy: (session: string) => boolean) {
    this.#isBusy = isBusy;
  }

  /** Whether this may be the name of a tab: the page makes it up. */
  static isName(name: unknown): name is string {
    return typeof name === "string" && /^[\w-]{8,64}$/.test(name);
  }

  /** The feed of a tab, which need not be known yet. */
  feed(session: string): EventFeed {
    const known = this.#feeds.get(session);
    if (known !== undefined) return known;
    for (const [name, feed] of this.#feeds) {
      if (this.#feeds.size < MOST) break;
      if (!feed.isRead && !this.#isBusy(name)) this.#feeds.delete(name);
    }
    const feed = new EventFeed();
    this.#feeds.set(session, feed);
    return feed;
  }

  /** Tells one tab. */
  tell(session: string, event: StudioEvent): void {
    this.feed(session).push(event);
  }

  /** Tells all tabs. */
  tellAll(event: StudioEvent): void {
    for (const feed of this.#feeds.values()) feed.push(event);
  }

  /** Keeps connections alive that nothing happens on. */
  beat(): void {
    for (const feed of this.#feeds.values()) feed.beat();
  }

  /** Ends all connections. */
  close(): void {
    for (const feed of this.#feeds.values()) feed.close();
  }
}
