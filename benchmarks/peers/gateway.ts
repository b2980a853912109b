/** So many replicas (`REPLICAS`) of the task service behind the gateway of `npm start`, until it is stopped. */
import getPort from 'get-port';
import { startGateway } from '@task-manager/dev/gateway';
import { runReplica } from '@task-manager/dev/supervisor';
import { commandOf } from '@task-manager/dev/system';

const service = 'task-service';
const ports = await Promise.all(Array.from({ length: Number(process.env.REPLICAS) }, () => getPort()));
for (const port of ports) {
  runReplica({
    command: commandOf(service, process.cwd()),
    environment: { ...process.env, PORT: String(port), METRICS_PORT: String(await getPort()) },
    print: console.log,
    onEnd: console.error,
  });
}
await startGateway({
  port: Number(process.env.PORT),
  routes: [{ host: 'localhost', path: '', service }],
  replicas: ports.map((port) => ({ service, port })),
});
