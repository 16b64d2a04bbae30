// Asks the server with Google's Node clients: node node_client.mjs PACKAGES HOST PORT grpc|rest; prints one JSON object.
import { createRequire } from "node:module";

const [packages, host, port, protocol] = process.argv.slice(2);
const require = createRequire(`${packages}/package.json`);
const { SecretManagerServiceClient } = require("@google-cloud/secret-manager");
const { ServicesClient, RevisionsClient } = require("@google-cloud/run");
const { grpc } = require("google-gax");

const auth = {
  fetch: (url, options) => fetch(url, options),
  getClient: async () => auth,
  getRequestHeaders: async () => new Headers(),
  getUniverseDomain: async () => "googleapis.com",
};
const place = { servicePath: host, apiEndpoint: host, port: Number(port) };
const options =
  protocol === "rest"
    ? { ...place, fallback: true, protocol: "http", auth }
    : { ...place, sslCreds: grpc.credentials.createInsecure() };

const secrets = new SecretManagerServiceClient(options);
const services = new ServicesClient(options);
const revisions = new RevisionsClient(options);
const parent = "projects/shop";
const secret = `${parent}/secrets/sentry-dsn`;
const name = `${parent}/locations/europe-west1/services/api`;
const found = {};

const [listed] = await secrets.listSecrets({ parent });
found.secrets = listed.map((item) => item.name);
const [accessed] = await secrets.accessSecretVersion({ name: `${secret}/versions/latest` });
found.payload = Buffer.from(accessed.payload.data).toString();
found.checksum = Number(accessed.payload.dataCrc32c);
const [added] = await secrets.addSecretVersion({ parent: secret, payload: { data: Buffer.from("from node") } });
found.added = added.name;
try {
  await secrets.getSecret({ name: `${parent}/secrets/nope` });
} catch (error) {
  found.missing = error.code;
}
const [service] = await services.getService({ name });
const stale = service.etag;
service.template.labels = { ...service.template.labels, protocol };
const [operation] = await services.updateService({ service });
const [done] = await operation.promise();
found.ready = done.latestReadyRevision === done.latestCreatedRevision;
const [revision] = await revisions.getRevision({ name: done.latestReadyRevision });
found.label = revision.labels.protocol;
try {
  await services.updateService({ service: { ...service, etag: stale } });
} catch (error) {
  found.conflict = error.code;
}
console.log(JSON.stringify(found));
await Promise.all([secrets.close(), services.close(), revisions.close()]);
process.exit(0);
