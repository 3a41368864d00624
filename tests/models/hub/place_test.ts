import { assertEquals, assertThrows } from "@std/assert";
import { describePlace, parseHubPlace } from "../../../models/hub/mod.ts";

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

Deno.test("parseHubPlace: a malformed place is refused, and says how one looks", () => {
  const names = ["", "var", "a/", "/b", "a//b", "a/b c", "a/..", "../b", "a--x/b", "a/.b", "a/b-", "a\\b/c"];
  for (const name of names) {
    const wanted = 'must be an owner and a name, like "hf:FoundationVision/var": current value is "hf:';
    assertThrows(() => parseHubPlace(`hf:${name}`), TypeError, wanted);
  }
  assertThrows(() => parseHubPlace("hf:a/b/var_d16.pth"), TypeError, "without a file behind them");
  for (const revision of ["", "..", "a/../b", "/etc", "a//b", "a\\b", "a\nb", "v?"]) {
    assertThrows(() => parseHubPlace(`hf:a/b@${revision}`), TypeError, "a branch, a tag or a commit");
  }
});
