#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Asks the enclave for a watermark with undici and the identity that mtls-agent installed: once, or
// again and again (`watermark-undici.js SECONDS`, the pause in between).
'use strict';
const { setTimeout: sleep } = require('timers/promises');
const { Agent, request } = require('undici');
const { Follower } = require('./installed-set.js');

const certDir = process.env.CERT_DIR || '/etc/ecs/mtls';
const enclave = process.env.ENCLAVE_ENDPOINT || 'https://enclave.example.com:3000';

// Connections with the installed identity. After a rotation, the next request goes out with the new one. close() waits
// for the requests that the agent before has taken, and then ends its connections. request() is taken at once; with
// fetch(), which is not, close the agent some seconds later.
const agents = new Follower(certDir, (files) => new Agent({ connect: files }), (agent) => agent.close());

async function get(where) {
  const { statusCode, body } = await request(new URL(where, enclave), {
    dispatcher: agents.current(), headersTimeout: 30000, bodyTimeout: 30000,
  });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`the enclave answered ${statusCode}`);
  return text;
}

async function main() {
  const pause = process.argv[2];
  for (;;) {
    console.log(JSON.stringify(JSON.parse(await get('/api/watermark'))));
    if (pause === undefined) return agents.close();
    await sleep(1000 * pause);
  }
}

module.exports = { get };
if (require.main === module) {
  main().catch((error) => {
    console.error(`watermark: ${error.message}`);
    process.exit(1);
  });
}
