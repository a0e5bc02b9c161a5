#!/usr/bin/env node
// Reads paths of Workfront's API from standard input, one per line, and prints each answer as a line of JSON.
// Needs VAULT_ADDR and VAULT_TOKEN in the environment.
import { createInterface } from 'node:readline';
import nodeVault from 'node-vault';

const api = 'attask/api/v22.0';

// A Workfront session under a Vault lease.
class WorkfrontSession {
  #vault;
  #tokenPath;
  #lease = null;

  constructor(vault, tokenPath) {
    this.#vault = vault;
    this.#tokenPath = tokenPath;
  }

  // get calls Workfront. A session can end before its lease: on a 401 a new one is read, once.
  async get(path) {
    if (!this.#lease || (Date.now() >= this.#lease.careAt && !(await this.#renew()))) await this.#replace();
    let response = await this.#call(path);
    if (response.status === 401) {
      await this.#replace();
      response = await this.#call(path);
    }
    if (response.status !== 200) throw new Error(`Workfront answered ${response.status} to ${path}`);
    return response.json();
  }

  async revoke() {
    if (!this.#lease) return;
    try {
      await this.#vault.revoke({ lease_id: this.#lease.id });
    } catch (error) {
      console.error(`the lease could not be revoked; Vault revokes it when it expires: ${error.message}`);
    }
    this.#lease = null;
  }

  #call(path) {
    return fetch(`${this.#lease.baseURL}/${api}/${path}`, {
      headers: { sessionID: this.#lease.accessToken },
      redirect: 'manual', // the header sessionID is for this host alone
      signal: AbortSignal.timeout(60_000),
    });
  }

  async #replace() {
    await this.revoke();
    const before = Date.now();
    const secret = await this.#vault.read(this.#tokenPath);
    this.#lease = {
      id: secret.lease_id,
      accessToken: secret.data.access_token,
      baseURL: secret.data.base_url,
      ...times(before, secret.lease_duration),
    };
  }

  // renew is true only if it gained time: towards the end of a session it does not.
  async #renew() {
    const before = Date.now();
    try {
      const renewed = times(before, (await this.#vault.renew({ lease_id: this.#lease.id })).lease_duration);
      if (renewed.expires <= this.#lease.expires) return false;
      Object.assign(this.#lease, renewed);
      return true;
    } catch {
      return false;
    }
  }
}

// The lease is taken care of after two thirds of its TTL, which leaves time for a Vault that is away.
function times(begin, ttl) {
  return { expires: begin + ttl * 1000, careAt: begin + (ttl * 1000 * 2) / 3 };
}

const vault = nodeVault({ endpoint: process.env.VAULT_ADDR, token: process.env.VAULT_TOKEN });
const workfront = new WorkfrontSession(vault, process.env.WORKFRONT_TOKEN_PATH ?? 'workfront/token');
const lines = createInterface({ input: process.stdin });
let code = 0;
for (const [signal, status] of [['SIGTERM', 143], ['SIGINT', 130]]) {
  process.once(signal, () => {
    code = status;
    lines.close(); // ends the loop below
    process.stdin.destroy();
  });
}
try {
  for await (const path of lines) console.log(JSON.stringify(await workfront.get(path.trim())));
} catch (error) {
  console.error(error.message);
  code = 1;
} finally {
  await workfront.revoke();
}
process.exitCode = code;
