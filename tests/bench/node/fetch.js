// SPDX-License-Identifier: Apache-2.0
// The way of Node's SDK: `node fetch.js FOLDER ENDPOINT SECRET`.
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { X509Certificate, createPrivateKey } from "node:crypto";
import { mkdtemp, open, rename, symlink } from "node:fs/promises";
import { get } from "node:https";
import { basename, join } from "node:path";

const [folder, endpoint, secret] = process.argv.slice(2);

async function flush(path, text) {
  const file = await open(path, text === undefined ? "r" : "wx", 0o600);
  if (text !== undefined) await file.writeFile(text);
  await file.sync();
  await file.close();
}

function probe(options) {
  return new Promise((resolve, reject) => {
    get(endpoint, options, (answer) => {
      answer.resume();
      answer.on("end", () => (answer.statusCode === 200 ? resolve() : reject(new Error(answer.statusCode))));
    }).on("error", reject);
  });
}

const { SecretString } = await new SecretsManagerClient({}).send(new GetSecretValueCommand({ SecretId: secret }));
const { client_cert: cert, client_key: key, ca_cert: ca } = JSON.parse(SecretString);
const leaf = new X509Certificate(cert);
if (!leaf.checkPrivateKey(createPrivateKey(key)) || !leaf.verify(new X509Certificate(ca).publicKey))
  throw new Error("the identity is not whole");
await probe({ cert, key, ca, agent: false });
const version = await mkdtemp(join(folder, "set-"));
await flush(join(version, "client.crt"), cert);
await flush(join(version, "client.key"), key);
await flush(join(version, "ca.crt"), ca);
await flush(version);
await symlink(basename(version), join(folder, "next"));
await rename(join(folder, "next"), join(folder, "current"));
await flush(folder);
