import { assertEquals, assertThrows } from "@std/assert";
import { describePlace, parseHubPlace, suggestPlace } from "../../../models/hub/mod.ts";
import { environment } from "../../environment.ts";

Deno.test("parseHubPlace: a place is an owner, a name and a revision", () => {
  for (
    const [text, repository, revision] of [
      ["hf:FoundationVision/var", "FoundationVision/var", "main"],
      ["hf://FoundationVision/var", "FoundationVision/var", "main"],
      ["hf:a/b@main", "a/b", "main"],
      ["hf:o_w.n-er/n.a-m_e@refs/pr/1", "o_w.n-er/n.a-m_e", "refs/pr/1"],
      ["hf:a/b@v1.0+x", "a/b", "v1.0+x"],
    ] as const
  ) {
    const place = parseHubPlace(text)!;
    assertEquals(place, { repository, revision }, text);
    assertEquals(parseHubPlace(describePlace(place)), place);
  }
  for (const other of ["demo", "/models/hf:x", "HF:a/b", "https://huggingface.co/a/b", ""]) {
    assertEquals(parseHubPlace(other), undefined);
  }
});

Deno.test("parseHubPlace: a checkpoint may be named behind its repository", () => {
  const place = { repository: "a/b", revision: "v1", file: "c/var_d16.pth" };
  assertEquals(parseHubPlace("hf:a/b/c/var_d16.pth@v1"), place);
  assertEquals(describePlace(place), "hf:a/b/c/var_d16.pth@v1");
});

Deno.test("parseHubPlace: a malformed place is refused, and says how one looks", () => {
  const names = ["", "var", "a/", "/b", "a//b", "a/b c", "a/..", "../b", "a--x/b", "a/.b", "a/b-", "a\\b/c"];
  for (const name of names) {
    const wanted = 'must be an owner and a name, like "hf:FoundationVision/var": current value is "hf:';
    assertThrows(() => parseHubPlace(`hf:${name}`), TypeError, wanted);
  }
  for (const file of ["README.md", "x", "../x.pth", "a//x.pth", "/x.pth"]) {
    assertThrows(() => parseHubPlace(`hf:a/b/${file}`), TypeError, "must be a checkpoint");
  }
  for (const revision of ["", "..", "a/../b", "/etc", "a//b", "a\\b", "a\nb", "v?"]) {
    assertThrows(() => parseHubPlace(`hf:a/b@${revision}`), TypeError, "a branch, a tag or a commit");
  }
});

Deno.test("suggestPlace: repositories without hf:, addresses of their pages and a ~ that stayed are recognised", () => {
  {
    using _home = environment({ HOME: "/home/someone" });
    const cases: readonly [string, string | undefined][] = [
      ["FoundationVision/var", "hf:FoundationVision/var"],
      ["FoundationVision/var/", "hf:FoundationVision/var"],
      [`${Deno.cwd()}/FoundationVision/var@v1`, "hf:FoundationVision/var@v1"],
      ["https://huggingface.co/FoundationVision/var", "hf:FoundationVision/var"],
      ["https://www.huggingface.co/FoundationVision/var/?x=1", "hf:FoundationVision/var"],
      ["http://hf.co/a/b/tree/v1/folder", "hf:a/b@v1"],
      ["https://huggingface.co/a/b/blob/main/var_d16.pth#top", "hf:a/b"],
      ["huggingface.co/a/b", "hf:a/b"],
      ["~/m", "/home/someone/m"],
      ["~", "/home/someone"],
      [`${Deno.cwd()}/~/m/x`, "/home/someone/m/x"],
      ["https://huggingface.co/a/b/resolve/main/", undefined],
      ["https://huggingface.co/datasets/a/b", undefined],
      ["https://huggingface.co/FoundationVision", undefined],
      ["https://example.org/a/b", undefined],
      ["/models/var", undefined],
      ["models/small/var", undefined],
      ["model", undefined],
      ["~someone/m/x", undefined],
      ["", undefined],
    ];
    for (const [text, wanted] of cases) assertEquals(suggestPlace(text), wanted, text);
  }
  using _nowhere = environment({ HOME: undefined });
  assertEquals(suggestPlace("~/m"), undefined);
});
