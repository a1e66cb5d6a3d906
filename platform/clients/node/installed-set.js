// SPDX-License-Identifier: Apache-2.0
// The identity that mtls-agent has installed: read as one set, and read again after a rotation. Needs no package.
'use strict';
const fs = require('fs');
const path = require('path');

// A leaf with its chain, its key, and the CA of the enclave, as tls.connect() and its relatives take them.
function read(set) {
  const file = (name) => fs.readFileSync(path.join(set, name));
  return { cert: file('client.crt'), key: file('client.key'), ca: file('ca.crt') };
}

// Keeps what make(files) returns for as long as the set of these files is the installed one, and then gives it to
// retire().
class Follower {
  #directory; #make; #retire; #set; #kept;

  constructor(directory, make, retire) {
    this.#directory = directory;
    this.#make = make;
    this.#retire = retire;
  }

  // What belongs to the set that is installed now. Costs one readlink(2) where that has not changed.
  current() {
    for (;;) {
      const set = this.#installed();
      if (set === this.#set) return this.#kept;
      try {
        const made = this.#make(read(set));
        this.close();
        this.#set = set;
        this.#kept = made;
      } catch (error) {
        // A set that was replaced may be gone before all of it was read: again, with the new one.
        if (error.code !== 'ENOENT' || this.#installed() === set) throw error;
      }
    }
  }

  // Retires what is kept. The next current() begins anew.
  close() {
    if (this.#set !== undefined) this.#retire(this.#kept);
    this.#set = this.#kept = undefined;
  }

  // The directory behind ..data. Where files were put by other means there is no such link: nothing to follow.
  #installed() {
    try {
      return path.join(this.#directory, fs.readlinkSync(path.join(this.#directory, '..data')));
    } catch (error) {
      if (error.code === 'ENOENT') return this.#directory;
      throw error;
    }
  }
}

module.exports = { Follower };
