#!/usr/bin/env bash
# One tokenizer.json, two sets of ids: @huggingface/tokenizers (JavaScript) takes the engine's NFKC where the
# file holds a map of characters ("Precompiled", as T5's does), and leaves out the file's truncation. Python's
# tokenizers applies the map to whole clusters of characters, so that an accent behind a superscript is
# dropped, and truncates. We apply the map and cut to length ourselves (models/text/). Prints the tokens of four
# texts by each; exits with 1 if they are no longer as described.
#
# Needs Node with npm, and Python 3 with venv. Installs @huggingface/tokenizers@0.2.0 from npm, and tokenizers
# 0.23.2, sentencepiece 0.2.2 and protobuf 7.36.2 from PyPI in a folder of its own and removes it.
# The file's format: https://huggingface.co/docs/tokenizers/components
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet tokenizers==0.23.2 sentencepiece==0.2.2 protobuf==7.36.2
npm install --silent --no-fund --no-audit --prefix . @huggingface/tokenizers@0.2.0 >/dev/null

cat >texts.json <<'JSON'
["a red cube", "x\u00b2", "x\u00b2\u0301", "a red cube and a blue cone"]
JSON

cat >python.py <<'PY'
# Trains a small T5-like tokenizer, writes its tokenizer.json, and prints the ids of the texts.
import json
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

words = "a red green blue cube cone sphere and or two three x 2 of the".split()
with open("corpus.txt", "w") as corpus:
    for i in range(3000):
        corpus.write(" ".join(words[(i * k) % len(words)] for k in (1, 3, 7, 11)) + "\n")
sentencepiece.SentencePieceTrainer.train(
    input="corpus.txt", model_prefix="small", vocab_size=48, model_type="unigram", pad_id=0, eos_id=1,
    unk_id=2, bos_id=-1, normalization_rule_name="nmt_nfkc", minloglevel=2, hard_vocab_limit=False)
trained = sentencepiece_model_pb2.ModelProto.FromString(open("small.model", "rb").read())
tokenizer = Tokenizer(models.Unigram([(piece.piece, piece.score) for piece in trained.pieces], unk_id=2))
tokenizer.normalizer = normalizers.Precompiled(trained.normalizer_spec.precompiled_charsmap)
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
tokenizer.save("tokenizer.json")
content = json.load(open("tokenizer.json"))
content["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
json.dump(content, open("tokenizer.json", "w"))
tokenizer = Tokenizer.from_file("tokenizer.json")
for text in json.load(open("texts.json")):
    tokens = [tokenizer.id_to_token(i) for i in tokenizer.encode(text).ids]
    print("Python", json.dumps(text), json.dumps(tokens))
PY

cat >script.mjs <<'JS'
// Prints the ids of the texts.
import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";
const tokenizer = new Tokenizer(JSON.parse(readFileSync("tokenizer.json", "utf8")), {});
for (const text of JSON.parse(readFileSync("texts.json", "utf8"))) {
  const escaped = (value) => JSON.stringify(value).replace(/[^ -~]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  console.log("JavaScript", escaped(text), escaped(tokenizer.encode(text).tokens).replaceAll(",", ", "));
}
JS
found=$(
  venv/bin/python python.py
  node script.mjs
)
echo "$found"

wanted='Python "a red cube" ["\u2581a", "\u2581red", "\u2581cube"]
Python "x\u00b2" ["\u2581x", "2"]
Python "x\u00b2\u0301" ["\u2581x", "2"]
Python "a red cube and a blue cone" ["\u2581a", "\u2581red", "\u2581cube", "\u2581and"]
JavaScript "a red cube" ["\u2581a", "\u2581red", "\u2581cube"]
JavaScript "x\u00b2" ["\u2581x", "2"]
JavaScript "x\u00b2\u0301" ["\u2581x", "2", "\u0301"]
JavaScript "a red cube and a blue cone" ["\u2581a", "\u2581red", "\u2581cube", "\u2581and", "\u2581a", "\u2581blue", "\u2581cone"]'
if [ "$found" = "$wanted" ]; then
  echo "As described: JavaScript keeps the accent that Python's map drops, and does not truncate."
else
  echo "The behaviour has changed."
  exit 1
fi
