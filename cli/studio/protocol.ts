/**
 * What the page and the server of the studio say to each other, as plain data: forms from the page, events to
 * it. The page's modules name these types, so that both are checked against the same.
 *
 * @module
 */

import type { HookDecision, PictureSize, VarScalingDecision } from "../../mod.ts";

/** What the page asks for. */
export interface JobForm {
  /** Classes or prompts; without any, classes are drawn at random from the seed. */
  readonly labels: readonly string[];
  /**
   * Options of `varscale generate` by the names of its tables, each as the text that would stand on the
   * command line; `true` for a switch, `false` for its `--no-`.
   */
  readonly options: Readonly<Record<string, string | boolean>>;
  /** Whether each image is made plain, too. */
  readonly compare?: boolean;
  /** What is edited, if anything. */
  readonly edit?: EditForm;
}

/** A picture of which a region is painted anew, or all but a region. */
export interface EditForm {
  /** Address of a picture that the studio has: one that was painted or one that was brought. */
  readonly picture: string;
  /** Address of the mask, white where something is painted. */
  readonly mask: string;
  /** Whether the region is painted anew, or all around it. */
  readonly mode: "inpaint" | "outpaint";
}

/** An option as the page shows it. */
export interface OptionForm {
  /** Its name in forms. */
  readonly name: string;
  /** As on the command line. */
  readonly flag: string;
  readonly help: string;
  /** What kind of field it needs; a toggle has a third state, in which it is left to the model. */
  readonly field: "switch" | "toggle" | "choice" | "text";
  /** Stands for a value. */
  readonly placeholder?: string;
  readonly choices?: readonly string[];
  /** What holds where nothing is given. */
  readonly default?: string;
}

/** Options under a heading. */
export interface OptionSection {
  readonly title: string;
  readonly options: readonly OptionForm[];
}

/** A method that can be chosen. */
export interface MethodForm {
  /** As `--method` names it. */
  readonly name: string;
  readonly title: string;
  /** Titles of the sections with its options. */
  readonly sections: readonly string[];
}

/** What a model paints. */
export type LabelFacts =
  | { readonly kind: "classes"; readonly names: readonly string[] }
  | { readonly kind: "texts" };

/** The model as far as the page shows it. */
export interface ModelFacts {
  readonly name: string;
  readonly family: string;
  readonly device: string;
  readonly dtype?: string;
  readonly labels: LabelFacts;
  /** Whether pictures can be edited. */
  readonly encodes: boolean;
  /** Options that go with it. */
  readonly sections: readonly OptionSection[];
  readonly methods: readonly MethodForm[];
}

/** Whether there is a model. */
export type ModelState =
  | { readonly state: "loading"; readonly notices: readonly string[] }
  | { readonly state: "ready"; readonly facts: ModelFacts }
  | { readonly state: "failed"; readonly notices: readonly string[]; readonly message: string };

/** A picture with its address. */
export interface PictureFacts {
  /** Place of its image in the job. */
  readonly place: number;
  readonly lane: number;
  readonly width: number;
  readonly height: number;
  /** Its address. */
  readonly href: string;
}

/** What became of one lane. */
export interface LaneFacts {
  readonly attempt: number;
  readonly from?: { readonly attempt: number; readonly scale: number };
  readonly dropped?: { readonly hook: string; readonly scale: number };
  readonly decisions: readonly HookDecision[];
  /** Its pictures by scale, from the first that it does not share with the lane that it continues. */
  readonly pictures: readonly (PictureSize & { readonly scale: number; readonly href: string })[];
}

/** What happens to a job. */
export type JobEvent =
  & { readonly job: string }
  & (
    | {
      readonly type: "queued";
      readonly title: string;
      readonly form: JobForm;
      /** Names of the ways in which its images are made. */
      readonly parts: readonly string[];
      /** The job that it repeats. */
      readonly repeats?: string;
    }
    /** How many jobs are carried out before it. */
    | { readonly type: "waiting"; readonly ahead: number }
    | { readonly type: "started" }
    /** What a person should know of a part, in sentences. */
    | { readonly type: "begun"; readonly part: number; readonly notes: readonly string[] }
    | {
      readonly type: "batch";
      readonly part: number;
      readonly batch: number;
      readonly batches: number;
    }
    | {
      readonly type: "scale";
      readonly part: number;
      readonly batch: number;
      readonly scale: number;
      readonly scales: number;
      readonly width: number;
      readonly height: number;
      readonly lanes: number;
    }
    | {
      readonly type: "preview";
      readonly part: number;
      readonly scale: number;
      readonly pictures: readonly PictureFacts[];
    }
    | ({ readonly type: "candidates"; readonly part: number } & CloudFacts)
    | {
      readonly type: "tree";
      readonly part: number;
      readonly place: number;
      readonly lanes: readonly LaneFacts[];
    }
    | {
      readonly type: "image";
      readonly part: number;
      readonly caption: string;
      readonly picture: PictureFacts;
      readonly attempt: number;
      readonly attempts: number;
      readonly decisions: readonly HookDecision[];
    }
    | {
      readonly type: "finished";
      readonly part: number;
      /** Address of the record of its run. */
      readonly record: string;
      /** Milliseconds of all, of its scales together, and of decoding. */
      readonly total: number;
      readonly scales: readonly number[];
      readonly decode: number;
      /** What it came to: passes of lanes through the transformer, decoded pictures, judged pictures. */
      readonly cost: Readonly<Record<string, number>>;
    }
    | {
      readonly type: "ended";
      readonly state: JobEnd;
      readonly message?: string;
      /** For a repetition, of how many pictures the tokens are the same. */
      readonly agreement?: { readonly images: number; readonly same: number };
    }
  );

/** How a job ended. */
export type JobEnd = "done" | "aborted" | "failed";

/** The candidates of a lane at a searched scale, and what was decided about them. */
export interface CloudFacts {
  /** Place of the image in the job. */
  readonly place: number;
  readonly lane: number;
  readonly scale: number;
  /** Two principal components of the code vectors of each. */
  readonly points: readonly number[];
  readonly densities: readonly number[];
  readonly kept: readonly number[];
  readonly chosen: number;
  /** What the greatest density was compared with. */
  readonly threshold: number;
  /** All that the method reports. */
  readonly decision: VarScalingDecision;
}

/** A finished job in the history. */
export interface HistoryEntry {
  readonly job: string;
  readonly title: string;
  readonly state: JobEnd;
  /** Milliseconds since 1970 when it ended. */
  readonly at: number;
  readonly form: JobForm;
  /** Address of the first finished picture. */
  readonly picture?: string;
  /** Pictures and records to download, by their file names. */
  readonly files: readonly { readonly name: string; readonly href: string }[];
}

/** What the server tells. */
export type StudioEvent =
  | {
    /** Everything, for a page that knows nothing, or not enough to go on. */
    readonly type: "hello";
    readonly version: string;
    readonly model: ModelState;
    readonly history: readonly HistoryEntry[];
    /** The page's own jobs from their beginning. */
    readonly events: readonly JobEvent[];
  }
  | { readonly type: "model"; readonly model: ModelState }
  | { readonly type: "history"; readonly entry: HistoryEntry }
  | { readonly type: "forgotten"; readonly job: string }
  | { readonly type: "bye" }
  | JobEvent;
