// SPDX-License-Identifier: Apache-2.0
"use strict";

// Loads installed sets as a program in Node would: node load.js DIRECTORY...
const fs = require("fs");
const path = require("path");
const tls = require("tls");

for (const dir of process.argv.slice(2)) {
  const read = (name) => fs.readFileSync(path.join(dir, name));
  tls.createSecureContext({ cert: read("client.crt"), key: read("client.key"), ca: read("ca.crt") });
}
