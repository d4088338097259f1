// oidc-provider on loopback with people, knobs and faults. Everything it signs is signed again here, so that keys, algorithms and
// claims can be changed while it runs; everything below `/lab/` is for the tests alone.
import crypto from 'node:crypto';
import http from 'node:http';
import { Provider, errors } from 'oidc-provider';

const settings = JSON.parse(process.env.LAB);
const issuer = `http://127.0.0.1:${settings.port}`;
const people = new Map(settings.people.map((person) => [person.name, { ...person, id: `id-of-${person.name}`, enabled: true }]));
const personOf = (id) => [...people.values()].find((person) => person.id === id && person.enabled);

// === What tests turn ===

const knobs = {
  algorithm: 'RS256', // or ES256, HS256, none
  unpublished: false, // sign with a key that the key set lacks
  rotate_refresh_tokens: true,
  refresh_tokens: 'always', // or offline_access, never
  poll_interval: 1,
  device_life: 600,
  token_life: 300,
  redirect_uris: settings.redirect_uris,
};
// Laid over the JSON documents that leave, by name; null takes a member away.
const overlays = {};
// By endpoint: what happens instead of an answer.
const faults = {};
const counters = { refresh_reuses: 0, revoked_grants: 0, requests: {}, grants: {} };
// The last requests, with what they said.
const requests = [];

// === Keys ===

const ellipticKey = () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
let serial = 0;
function makeKey() {
  serial += 1;
  const rsa = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  // No other run has the same names.
  return { kid: `key-${process.pid}-${serial}`, RS256: rsa, ES256: ellipticKey() };
}
let keys = [makeKey()];
let stranger;
let rotation;

function keySet() {
  const published = (key, alg) => ({ ...key[alg].publicKey.export({ format: 'jwk' }), kid: `${key.kid}-${alg}`, use: 'sig', alg });
  return { keys: keys.flatMap((key) => [published(key, 'RS256'), published(key, 'ES256')]) };
}

const base64url = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function sign(claims) {
  const alg = knobs.algorithm;
  const key = knobs.unpublished ? (stranger ??= makeKey()) : keys.at(-1);
  const header = { alg, typ: 'JWT', ...(['RS256', 'ES256'].includes(alg) && { kid: `${key.kid}-${alg}` }) };
  const input = `${base64url(header)}.${base64url(claims)}`;
  const signature = {
    RS256: () => crypto.sign('sha256', input, key.RS256.privateKey),
    ES256: () => crypto.sign('sha256', input, { key: key.ES256.privateKey, dsaEncoding: 'ieee-p1363' }),
    HS256: () => crypto.createHmac('sha256', settings.client.secret).update(input).digest(),
    none: () => Buffer.alloc(0),
  }[alg]();
  return `${input}.${signature.toString('base64url')}`;
}

function lay(document, ...layers) {
  const result = { ...document };
  for (const [name, value] of layers.flatMap((layer) => Object.entries(layer ?? {}))) {
    if (value === null) delete result[name];
    else result[name] = value;
  }
  return result;
}

const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

// === Storage: as oidc-provider's own in memory, which keeps a thousand entries and forgets the others ===

const stored = new Map();
class Storage {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) { stored.set(this.key(id), payload); }
  async find(id) {
    // The client is read anew each time, so that a test may change where sign-ins return to.
    return this.model === 'Client' && id === settings.client.id ? client() : stored.get(this.key(id));
  }
  async findBy(member, value) {
    for (const [key, payload] of stored) if (key.startsWith(`${this.model}:`) && payload[member] === value) return payload;
    return undefined;
  }
  async findByUid(uid) { return this.findBy('uid', uid); }
  async findByUserCode(code) { return this.findBy('userCode', code); }
  async consume(id) { stored.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { stored.delete(this.key(id)); }
  async revokeByGrantId(id) { for (const [key, payload] of stored) if (payload.grantId === id) stored.delete(key); }
}

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const client = () => ({
  client_id: settings.client.id,
  client_secret: settings.client.secret,
  // It checks one way; which of the two a request took is made up for below.
  token_endpoint_auth_method: 'client_secret_basic',
  id_token_signed_response_alg: 'ES256',
  grant_types: ['authorization_code', 'refresh_token', 'password', DEVICE],
  redirect_uris: knobs.redirect_uris,
  scope: 'openid profile email groups offline_access',
});

// === The provider ===

const account = (person) => ({
  accountId: person.id,
  claims: async () => ({
    sub: person.id, name: person.name, preferred_username: person.name, email: `${person.name}@example.org`, email_verified: true,
    groups: person.groups,
  }),
});

const provider = new Provider(issuer, {
  adapter: Storage,
  // Never seen outside; an RSA key would take longer to make.
  jwks: { keys: [{ ...ellipticKey().privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
  cookies: { keys: ['for tests only'] },
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
  claims: {
    openid: ['sub', 'acr', 'amr', 'auth_time'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'],
    groups: ['groups'],
  },
  conformIdTokenClaims: false,
  clientBasedCORS: () => false,
  pkce: { required: () => true },
  features: {
    deviceFlow: { enabled: true, mask: '****-****' },
    revocation: { enabled: true },
    devInteractions: { enabled: false },
  },
  ttl: {
    AccessToken: () => knobs.token_life, IdToken: () => knobs.token_life, DeviceCode: () => knobs.device_life,
    RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600,
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  expiresWithSession: () => false,
  rotateRefreshToken: () => knobs.rotate_refresh_tokens,
  issueRefreshToken: (ctx, of, code) =>
    knobs.refresh_tokens === 'always' || (knobs.refresh_tokens === 'offline_access' && code.scopes.has('offline_access')),
  findAccount: (ctx, id) => { const person = personOf(id); return person && account(person); },
  // Consent is not what the tests are about.
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope(ctx.oidc.params.scope);
    await grant.save();
    return grant;
  },
});

provider.registerGrantType('password', async (ctx) => {
  const { username, password, scope = 'openid' } = ctx.oidc.params;
  const person = people.get(username);
  if (!person?.enabled || person.password !== password) {
    throw new errors.CustomOIDCProviderError('invalid_grant', 'invalid user credentials');
  }
  if (person.refusal) {
    const refusal = new errors.CustomOIDCProviderError(person.refusal.error, person.refusal.description);
    refusal.statusCode = refusal.status = person.refusal.status;
    throw refusal;
  }
  const { client: asking } = ctx.oidc;
  const asked = scope.split(' ').filter((one) => ['openid', 'profile', 'email', 'groups', 'offline_access'].includes(one)).join(' ');
  const grant = new provider.Grant({ accountId: person.id, clientId: asking.clientId });
  grant.addOIDCScope(asked);
  const common = { accountId: person.id, client: asking, grantId: await grant.save(), gty: 'password', scope: asked };
  ctx.oidc.entity('Account', account(person));
  const accessToken = new provider.AccessToken(common);
  ctx.oidc.entity('AccessToken', accessToken);
  const access_token = await accessToken.save();
  const idToken = new provider.IdToken(await account(person).claims(), { ctx });
  idToken.scope = asked;
  idToken.set('at_hash', access_token);
  const id_token = await idToken.issue({ use: 'idtoken' });
  const wanted = knobs.refresh_tokens === 'always' || (knobs.refresh_tokens === 'offline_access' && asked.includes('offline_access'));
  const authTime = Math.floor(Date.now() / 1000);
  const refresh_token = wanted ? await new provider.RefreshToken({ ...common, rotations: 0, authTime }).save() : undefined;
  ctx.body = { access_token, id_token, refresh_token, token_type: 'Bearer', expires_in: accessToken.expiration, scope: asked };
}, ['username', 'password', 'scope'], []);

provider.on('grant.error', (ctx, error) => { if (error.error_detail === 'refresh token already used') counters.refresh_reuses += 1; });
provider.on('grant.revoked', () => { counters.revoked_grants += 1; });
provider.on('server_error', (ctx, error) => console.error('server_error', error));

// === A person at a browser ===

// A browser that is shown no icon asks for one, and complains that there is none.
const head = '<meta charset="utf-8"><link rel="icon" href="data:,">';
const page = (title, body) => `<!DOCTYPE html><html lang="en">${head}<title>${title}</title><h1>${title}</h1>${body}</html>`;

async function interact(request, response, form) {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page('Sign in at the lab', `<form method="post">
<label>Name <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button>Sign in</button> <button name="cancel" value="1">Cancel</button></form>`));
    return;
  }
  if (form.cancel) {
    await provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'the person cancelled' });
    return;
  }
  const person = people.get(form.username);
  if (!person?.enabled || person.password !== form.password) {
    response.statusCode = 403;
    response.end(page('Wrong name or password', ''));
    return;
  }
  const { amr = ['pwd'], acr, age = 0 } = person.proof ?? {};
  const login = { accountId: person.id, amr, acr, ts: Math.floor(Date.now() / 1000) - age, remember: false };
  await provider.interactionFinished(request, response, { login });
}

// === What the tests ask of it ===

const commands = {
  knobs: (wanted) => { Object.assign(knobs, wanted); },
  overlay: ({ document, members }) => { overlays[document] = members; },
  fault: ({ endpoint, fault }) => { faults[endpoint] = fault; },
  heal: () => { for (const all of [faults, overlays]) for (const name of Object.keys(all)) delete all[name]; },
  rotate: () => { keys.push(makeKey()); },
  withdraw: () => { keys = keys.slice(-1); },
  rotate_every: ({ milliseconds }) => {
    clearInterval(rotation);
    if (milliseconds) rotation = setInterval(() => { keys = [...keys, makeKey()].slice(-2); }, milliseconds);
  },
  person: ({ name, change }) => { Object.assign(people.get(name), change); },
  end_sessions: ({ name }) => {
    const { id } = people.get(name);
    for (const [key, payload] of stored) if (payload.accountId === id) stored.delete(key);
  },
  device: async ({ user_code, name, denied }) => {
    const code = await provider.DeviceCode.findByUserCode(user_code.replace(/\W/g, '').toUpperCase());
    if (!code) throw new Error(`no such code: ${user_code}`);
    if (denied) {
      Object.assign(code, { error: 'access_denied', errorDescription: 'the person said no' });
    } else {
      const person = people.get(name);
      const grant = new provider.Grant({ accountId: person.id, clientId: code.clientId });
      grant.addOIDCScope(code.params.scope);
      const { amr = ['pwd'], acr, age = 0 } = person.proof ?? {};
      const authTime = Math.floor(Date.now() / 1000) - age;
      Object.assign(code, { accountId: person.id, grantId: await grant.save(), scope: code.params.scope, authTime, amr, acr });
    }
    await code.save();
  },
  counters: () => counters,
  // Those that still bring tokens, of anybody.
  live_refresh_tokens: () => [...stored].filter(([key, payload]) => key.startsWith('RefreshToken:') && !payload.consumed).length,
  requests: () => requests,
};

// === The way of every request ===

const ENDPOINTS = {
  '/.well-known/openid-configuration': 'discovery', '/jwks': 'jwks', '/token': 'token', '/device/auth': 'device', '/me': 'userinfo',
  '/auth': 'authorization', '/token/revocation': 'revocation',
};
const polled = new Map();

// Answers true where the fault took the request.
async function fail(fault, request, response) {
  if (fault.times !== undefined && fault.times-- <= 0) return false;
  if (fault.delay) await new Promise((done) => setTimeout(done, fault.delay));
  switch (fault.kind) {
    case 'slow': return false;
    case 'hang': return true;
    case 'typed': {
      const end = response.end.bind(response);
      response.end = (...rest) => { response.setHeader('content-type', fault.type); return end(...rest); };
      return false;
    }
    case 'reset': request.socket.resetAndDestroy(); return true;
    case 'huge':
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(`{"padding":"${'x'.repeat(10 * 1024 * 1024)}"}`);
      return true;
    case 'truncated':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
      response.write('{"access_token":"cut', () => request.socket.destroy());
      return true;
    default:
      response.writeHead(fault.status ?? 200, { 'content-type': 'application/json', ...fault.headers });
      response.end(fault.body ?? '');
      return true;
  }
}

// Changes the body of an answer on its way out.
function rewrite(response, endpoint) {
  const end = response.end.bind(response);
  response.end = (body, ...rest) => {
    const json = String(response.getHeader('content-type') ?? '').includes('json') && response.statusCode === 200;
    if (json && body !== undefined) {
      const changed = Buffer.from(JSON.stringify(change(endpoint, JSON.parse(body))));
      response.setHeader('content-length', changed.length);
      return end(changed);
    }
    const location = response.getHeader('location');
    if (location && overlays.callback && knobs.redirect_uris.some((uri) => String(location).startsWith(uri))) {
      const url = new URL(location);
      const members = lay(Object.fromEntries(url.searchParams), overlays.callback);
      url.search = new URLSearchParams(members).toString();
      response.setHeader('location', url.href);
    }
    return end(body, ...rest);
  };
}

function change(endpoint, document) {
  switch (endpoint) {
    case 'jwks': return lay(keySet(), overlays.jwks);
    case 'device': return lay({ ...document, interval: knobs.poll_interval }, overlays.device);
    case 'userinfo': return lay(document, personOf(document.sub)?.claims, overlays.userinfo);
    case 'token': {
      if (document.id_token) {
        const claims = claimsOf(document.id_token);
        document.id_token = sign(lay(claims, personOf(claims.sub)?.claims, overlays.id_token));
      }
      return lay(document, overlays.token);
    }
    case 'discovery': {
      const ways = ['client_secret_basic', 'client_secret_post'];
      const algorithms = { id_token_signing_alg_values_supported: ['RS256', 'ES256'] };
      return lay({ ...document, ...algorithms, token_endpoint_auth_methods_supported: ways }, overlays.discovery);
    }
    default: return document;
  }
}

function count(endpoint, request, form) {
  const bump = (where, name) => { where[name] = (where[name] ?? 0) + 1; };
  bump(counters.requests, endpoint);
  if (endpoint === 'token') bump(counters.grants, form.grant_type);
  requests.push({ endpoint, method: request.method, authorization: request.headers.authorization?.split(' ')[0] ?? null, form });
  if (requests.length > 200) requests.shift();
}

const handle = provider.callback();
http.createServer(async (request, response) => {
  try {
    const url = new URL(request.url, issuer);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    if (url.pathname.startsWith('/lab/')) {
      const answer = await commands[url.pathname.slice('/lab/'.length)](body ? JSON.parse(body) : {});
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answer ?? null));
      return;
    }
    const form = Object.fromEntries(new URLSearchParams(request.method === 'POST' ? body : url.search));
    // The provider takes it from here, as it cannot read it again.
    request.body = body;
    if (url.pathname.startsWith('/interaction/')) {
      await interact(request, response, form);
      return;
    }
    // After its page, an authorization request goes on below its own path.
    const endpoint = url.pathname.startsWith('/auth/') ? 'resumed' : ENDPOINTS[url.pathname];
    if (endpoint) {
      count(endpoint, request, form);
      if (faults[endpoint] && await fail(faults[endpoint], request, response)) return;
      rewrite(response, endpoint);
    }
    if (endpoint === 'token' && form.grant_type === DEVICE && knobs.poll_interval > 0) {
      const last = polled.get(form.device_code);
      polled.set(form.device_code, Date.now());
      // Clocks and timers are not exact.
      if (last && Date.now() - last < knobs.poll_interval * 1000 - 100) {
        response.writeHead(400, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: 'slow_down', error_description: 'polls come too fast' }));
        return;
      }
    }
    // Both usual ways to send the secret are fine, as with most providers; the library takes one.
    if (form.client_secret !== undefined && !request.headers.authorization) {
      const pair = [form.client_id, form.client_secret].map(encodeURIComponent).join(':');
      request.headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
      const { client_secret, ...rest } = form;
      request.body = new URLSearchParams(rest).toString();
    }
    handle(request, response);
  } catch (error) {
    console.error(error);
    if (!response.headersSent) response.writeHead(500);
    response.end(String(error));
  }
}).listen(settings.port, '127.0.0.1', () => console.log('listening'));
