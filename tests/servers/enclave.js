// SPDX-License-Identifier: Apache-2.0
// An enclave in Node: node enclave.js DIRECTORY PORT [tls13]
'use strict';
const fs = require('fs');
const https = require('https');
const path = require('path');

const [dir, port, tls13] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(dir, name));

https.createServer({
  cert: read('server.crt'),
  key: read('server.key'),
  ca: read('clients.crt'),
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: tls13 ? 'TLSv1.3' : 'TLSv1.2',
}, (request, response) => {
  const client = `CN=${request.socket.getPeerCertificate().subject.CN}`;
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ server: 'node', path: request.url, client }) + '\n');
}).listen(Number(port), '127.0.0.1');
