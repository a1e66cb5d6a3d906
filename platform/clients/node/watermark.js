#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Asks the enclave for a watermark with the module https and the identity that mtls-agent installed: once, or again and
// again (`watermark.js SECONDS`, the pause in between). Needs no package.
'use strict';
const https = require('https');
const { setTimeout: sleep } = require('timers/promises');
const { Follower } = require('./installed-set.js');

const certDir = process.env.CERT_DIR || '/etc/ecs/mtls';
const enclave = process.env.ENCLAVE_ENDPOINT || 'https://enclave.example.com:3000';

// Idle connections end at once, one that is in use ends after its answer.
function retire(agent) {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) sockets.forEach((socket) => socket.destroy());
}

// Connections with the installed identity. After a rotation, the next request goes out with the new one.
const agents = new Follower(certDir, (files) => new https.Agent({ ...files, keepAlive: true }), retire);

function request(where, resolve, reject) {
  const sent = https.get(new URL(where, enclave), { agent: agents.current(), timeout: 30000 }, (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (chunk) => { body += chunk; });
    response.on('end', () => {
      if (response.statusCode === 200) resolve(body);
      else reject(new Error(`the enclave answered ${response.statusCode}`));
    });
    response.on('error', reject);
  });
  sent.on('timeout', () => sent.destroy(new Error('the enclave does not answer')));
  sent.on('error', reject);
}

function get(where) {
  return new Promise((resolve, reject) => request(where, resolve, reject));
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
