// SPDX-License-Identifier: Apache-2.0
// An enclave in Node: node enclave.js DIRECTORY PORT [WORD...]; words: tls12, tls13, p384
'use strict';
const fs = require('fs');
const https = require('https');
const path = require('path');

const [dir, port, ...words] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(dir, name));

https.createServer({
  cert: read('server.crt'),
  key: read('server.key'),
  ca: read('clients.crt'),
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: words.includes('tls13') ? 'TLSv1.3' : 'TLSv1.2',
  maxVersion: words.includes('tls12') ? 'TLSv1.2' : 'TLSv1.3',
  ...(words.includes('p384') && { ecdhCurve: 'P-384' }),
}, (request, response) => {
  const client = `CN=${request.socket.getPeerCertificate().subject.CN}`;
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ server: 'node', path: request.url, client }) + '\n');
}).listen(Number(port), '127.0.0.1');
