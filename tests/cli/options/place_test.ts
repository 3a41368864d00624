/** Where things are. */

import { assertEquals, assertThrows } from "@std/assert";
import { absolute, withHome, withoutHome } from "../../../cli/options/place.ts";
import { environment } from "../../environment.ts";

Deno.test("absolute leaves addresses as they are", () => {
  assertEquals(absolute("https://example.org/model"), "https://example.org/model");
  assertEquals(absolute("models/a/../b"), `${Deno.cwd()}/models/b`);
});

Deno.test("withoutHome names no person, of whichever system a path is", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["/home/ada/models/var_d16.pth", "~/models/var_d16.pth"],
    ["/Users/Ada L/models/var", "~/models/var"],
    ["/root/var", "~/var"],
    ["C:\\Users\\ada\\var", "~\\var"],
    ["file:///home/ada/my%20model", "~/my model"],
    ["clip:/home/ada/clip", "clip:~/clip"],
    ["/home/ada", "~"],
    // What is nobody's home stays, and so do addresses and names.
    ...["/homestead/ada/var", "/rooted/var", "/data/home/ada/var", "demo", "own", "hf:home/ada"].map((it) =>
      [it, it] as const
    ),
    ["https://example.org/home/ada/var", "https://example.org/home/ada/var"],
  ];
  for (const [place, shown] of cases) assertEquals(withoutHome(place), shown);
});

Deno.test("withHome puts the folder of who is here in the place of ~", () => {
  {
    using _home = environment({ HOME: "/srv/here" });
    const places = ["~/var", "~", "clip:~/clip", "~ada/var", "/data/~/var", "demo", "a~"];
    assertEquals(places.map(withHome), [
      ...["/srv/here/var", "/srv/here", "clip:/srv/here/clip", "~ada/var", "/data/~/var", "demo", "a~"],
    ]);
  }
  using _nowhere = environment({ HOME: undefined });
  assertThrows(() => withHome("~/var"), Error, "Cannot find ~/var: nothing tells where the home folder is");
});
