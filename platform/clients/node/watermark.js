#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Asks the enclave for a watermark, with the identity that mtls-agent installed.
'use strict';
const fs = require('fs');
const https = require('https');
const path = require('path');

const certDir = process.env.CERT_DIR || '/etc/ecs/mtls';
const enclave = process.env.ENCLAVE_ENDPOINT || 'https://enclave.example.com:3000';

// The directory of the set that is installed now: certificate, key and CA that belong together.
function currentSet() {
  const data = path.join(certDir, '..data');
  return fs.realpathSync(fs.existsSync(data) ? data : certDir);
}

let identity = { set: null, agent: null };

function readSet(set) {
  const read = (name) => fs.readFileSync(path.join(set, name));
  return { cert: read('client.crt'), key: read('client.key'), ca: read('ca.crt') };
}

// Connections with the installed identity. After a rotation, the next request goes out with the new one.
function agent() {
  for (;;) {
    const set = currentSet();
    if (set === identity.set) return identity.agent;
    try {
      identity = { set, agent: new https.Agent({ ...readSet(set), keepAlive: true }) };
    } catch (error) {
      if (error.code !== 'ENOENT' || currentSet() === set) throw error;
      // A set that was replaced may be gone before all of it was read: again, with the new one.
    }
  }
}

function get(where) {
  return new Promise((resolve, reject) => {
    const request = https.get(new URL(where, enclave), { agent: agent(), timeout: 10000 }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => { body += chunk; });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`the enclave answered ${response.statusCode}`));
      });
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('the enclave does not answer')));
    request.on('error', reject);
  });
}

async function main() {
  console.log(JSON.stringify(JSON.parse(await get('/api/watermark'))));
  identity.agent.destroy();
}

module.exports = { get };
if (require.main === module) {
  main().catch((error) => {
    console.error(`watermark: ${error.message}`);
    process.exitCode = 1;
  });
}
