// SPDX-License-Identifier: Apache-2.0
// Many ask at the same time, until one request fails: crowd.js MODULE COUNT
'use strict';
const { get } = require(process.argv[2]);

async function ask(number) {
  for (;;) process.stdout.write(`${(await get(`/api/watermark?${number}`)).trim()}\n`);
}

for (let number = 0; number < Number(process.argv[3]); number++) {
  ask(number).catch((error) => {
    console.error(error);
    process.exit(1);
  });
}
