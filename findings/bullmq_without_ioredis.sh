#!/usr/bin/env bash
# BullMQ 6 lists ioredis as an optional peer and no longer brings it. A Worker that is given options for a
# connection, as all of its guides give them, does not throw where the package is missing: it emits the same
# error again and again without a turn for timers, so that a program neither ends nor gets to do anything else.
# We declare ioredis ourselves and hand over a connection that is there (cli/cluster/). Prints the first error
# and how many came before any timer fired; exits with 1 if it is no longer as described.
#
# Needs Node with npm. Installs bullmq@6.7.0 from npm in a folder of its own and removes it; the program ends
# itself after 100000 errors, and nothing listens where it would connect.
# Documentation: https://docs.bullmq.io/guide/connections
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --prefix . bullmq@6.7.0 >/dev/null

cat >worker.cjs <<'JS'
const { Worker } = require("bullmq");
let errors = 0;
const worker = new Worker("jobs", async () => {}, { connection: { host: "127.0.0.1", port: 1 } });
worker.on("error", (error) => {
  if (errors === 0) console.log(`error: ${error.message.split(".")[0]}`);
  if (++errors < 100000) return;
  console.log(`${errors} errors, and no timer has fired`);
  process.exit(3);
});
setTimeout(() => {
  console.log("a timer has fired");
  process.exit(0);
}, 20);
JS
status=0
found=$(timeout -s KILL 60 node worker.cjs) || status=$?
echo "bullmq 6.7.0"
echo "$found"

if [ "$status" -eq 3 ] && grep -q "could not load the optional 'ioredis' package" <<<"$found"; then
  echo "As described: a worker without ioredis goes round in errors."
else
  echo "The behaviour has changed."
  exit 1
fi
