// Loaded first into each Node.js process of a server that verify starts (NODE_OPTIONS=--require).
// It lets nothing leave this machine, leads what the SDK sends to the receiver of verify, writes down how the SDK was
// initialised, and raises an error in a page or route of Next.js where a request asks for one.
"use strict";

const dgram = require("node:dgram");
const dns = require("node:dns");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const Module = require("node:module");
const net = require("node:net");

const { records, port, key } = JSON.parse(process.env.SENTRY_AUDIT_VERIFY);
const FAIL = "x-sentry-audit-fail";
const STATE = `/__sentry_audit__/${key}`;
const ENVELOPE = /\/api\/\d+\/(envelope|store)\/?$/;

const write = (record) => {
  try { fs.appendFileSync(records, `${JSON.stringify(record)}\n`); } catch { /* verify has ended */ }
};

// --- nothing leaves -----------------------------------------------------------------------------------

const isHere = (host) => !host || /^(localhost|127(\.\d+){3}|::1|\[::1\]|::|0\.0\.0\.0|::ffff:127(\.\d+){3})$/i.test(host);
const refused = (host) => {
  write({ kind: "blocked", host });
  const error = new Error(`${host} is refused: sentry-audit verify lets nothing leave this machine`);
  return Object.assign(error, { code: "ECONNREFUSED", syscall: "connect", address: host });
};

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const words = Array.isArray(given[0]) ? given[0] : given; // net.connect hands on what it normalised
  const [first, second] = words;
  const options = typeof first === "object" && first !== null ? first : { port: first, host: typeof second === "string" ? second : "" };
  const isPath = options.path || (typeof first === "string" && Number.isNaN(Number(first)));
  if (isPath || isHere(options.host)) return connect.apply(this, given);
  const error = refused(options.host);
  process.nextTick(() => this.destroy(error));
  return this;
};

const send = dgram.Socket.prototype.send;
dgram.Socket.prototype.send = function (...given) {
  const host = given.slice(1).find((value) => typeof value === "string");
  if (isHere(host)) return send.apply(this, given);
  const error = refused(host);
  const done = given.at(-1);
  if (typeof done === "function") process.nextTick(done, error);
  return undefined;
};

// A name that is asked for by DNS alone never comes to a socket of Node.js.
for (const name of Object.keys(dns).filter((word) => /^(resolve|lookup$|reverse)/.test(word))) {
  const own = dns[name];
  if (typeof own !== "function") continue;
  const guarded = function (host, ...rest) {
    if (isHere(host) || net.isIP(host)) return own.call(this, host, ...rest);
    process.nextTick(rest.at(-1), refused(host));
    return undefined;
  };
  dns[name] = guarded;
}
for (const name of Object.keys(dns.promises).filter((word) => /^(resolve|lookup$|reverse)/.test(word))) {
  const own = dns.promises[name];
  if (typeof own !== "function") continue;
  dns.promises[name] = function (host, ...rest) {
    return isHere(host) || net.isIP(host) ? own.call(this, host, ...rest) : Promise.reject(refused(host));
  };
}

// --- what the SDK sends goes to the receiver ------------------------------------------------------------

const request = http.request;
const led = (own, scheme) =>
  function (...given) {
    const [first, second] = given;
    const isAddress = typeof first === "string" || first instanceof URL;
    const options = isAddress ? { ...address(first), ...(typeof second === "object" ? second : {}) } : first;
    const [path, query = ""] = String((options && options.path) || "").split("?");
    const headers = JSON.stringify((options && options.headers) || {});
    if (!ENVELOPE.test(path) || !/sentry_key/.test(query + headers)) return own.apply(this, given);
    write({ kind: "led", host: options.hostname || options.host || "", scheme });
    const { agent, ca, cert, host, protocol, socketPath, createConnection, ...kept } = options;
    const done = given.find((value) => typeof value === "function");
    return request({ ...kept, protocol: "http:", hostname: "127.0.0.1", port }, done);
  };
const address = (text) => {
  const { protocol, hostname, port: own, pathname, search } = new URL(text);
  return { protocol, hostname, port: own, path: pathname + search };
};
http.request = led(http.request, "http");
https.request = led(https.request, "https");

const asked = globalThis.fetch;
if (asked) {
  globalThis.fetch = function (input, init) {
    const text = typeof input === "string" ? input : input instanceof URL ? input.href : "";
    if (text.includes("sentry_key=") && ENVELOPE.test(text.split("?")[0])) {
      const { host, pathname, search } = new URL(text);
      write({ kind: "led", host, scheme: "fetch" });
      return asked.call(this, `http://127.0.0.1:${port}${pathname}${search}`, init);
    }
    return asked.call(this, input, init);
  };
}
Module.syncBuiltinESMExports();

// --- how the SDK was initialised --------------------------------------------------------------------------

const clients = [];
const known = new WeakSet();
const started = (client) => {
  if (!client || clients.at(-1) === client) return;
  clients.push(client);
  if (typeof client.on !== "function") return;
  client.on("beforeSendEvent", (event) => {
    if (!event.type) write({ kind: "captured", sent: true });
  });
};
const told = (client) => {
  const options = client.getOptions();
  const sdk = (options._metadata && options._metadata.sdk) || {};
  return {
    client: true, given: !!options.dsn, dsn: !!(client.getDsn && client.getDsn()), transport: !!(client.getTransport && client.getTransport()),
    enabled: options.enabled, version: sdk.version || "", sampleRate: options.sampleRate,
    integrations: Object.keys(client._integrations || {}), outcomes: { ...(client._outcomes || {}) },
  };
};
const watch = (scope) => {
  if (!scope || typeof scope.setClient !== "function" || known.has(scope)) return;
  known.add(scope);
  const own = scope.setClient;
  scope.setClient = function (client) {
    started(client);
    return own.apply(this, arguments);
  };
};
let carrier;
Object.defineProperty(globalThis, "__SENTRY__", {
  configurable: true,
  enumerable: true,
  get() {
    const own = carrier && carrier[carrier.version];
    if (own) {
      watch(own.defaultCurrentScope);
      try { watch(own.stack.getScope()); } catch { /* not made yet */ }
    }
    return carrier;
  },
  set(value) { carrier = value; },
});

const state = () => ({
  sdk: !!carrier,
  inits: clients.map((client) => !!(client.getDsn && client.getDsn())),
  ...(clients.length ? told(clients.at(-1)) : { client: false }),
});
const emit = http.Server.prototype.emit;
http.Server.prototype.emit = function (event, incoming, outgoing) {
  if (event !== "request" || incoming.url !== STATE) return emit.apply(this, arguments);
  outgoing.setHeader("content-type", "application/json");
  outgoing.end(JSON.stringify(state()));
  return true;
};

// --- an error where a request asks for one ----------------------------------------------------------------

const wanted = (incoming) => {
  const headers = (incoming && incoming.headers) || {};
  return typeof headers.get === "function" ? headers.get(FAIL) : headers[FAIL];
};
const INSTRUMENTATION = /[\\/]server[\\/](src[\\/])?instrumentation(\.js)?$/;
const instrumented = (loaded) => {
  Promise.resolve(loaded).then(
    (found) => write({
      kind: "instrumentation", register: typeof found.register === "function",
      onRequestError: typeof found.onRequestError === "function",
    }),
    () => {},
  );
};
const failing = new WeakSet();
const raised = new Set(); // the page that tells of the error is asked with the same headers
const fail = (loaded) => {
  const route = loaded && typeof loaded === "object" && Object.hasOwn(loaded, "routeModule") ? loaded.routeModule : null;
  if (!route || typeof route !== "object" || failing.has(route)) return;
  failing.add(route);
  for (const method of ["handle", "render"]) {
    const own = route[method];
    if (typeof own !== "function") continue;
    route[method] = function (incoming) {
      const text = wanted(incoming);
      if (!text || raised.has(text)) return own.apply(this, arguments);
      raised.add(text);
      write({ kind: "raised", text, definition: String(route.definition && route.definition.kind) });
      return Promise.reject(new Error(text));
    };
  }
};
const load = Module._load;
Module._load = function (name, parent, isMain) {
  const loaded = load.apply(this, arguments);
  if (INSTRUMENTATION.test(String(name))) instrumented(loaded);
  // What waits for something at its top is a promise; ours is called before that of Next.js.
  if (loaded && typeof loaded === "object" && typeof loaded.then === "function") loaded.then(fail, () => {});
  else fail(loaded);
  return loaded;
};

write({ kind: "hook", pid: process.pid, node: process.version });
