import { readContract } from '@task-manager/runtime/contract';
import { Database } from '@task-manager/runtime/database';
import { readEnvironment } from '@task-manager/runtime/environment';
import { Health } from '@task-manager/runtime/health';
import { createLogger } from '@task-manager/runtime/log';
import { createMetrics } from '@task-manager/runtime/metrics';
import { createService } from '@task-manager/runtime/service';
import { start } from '@task-manager/runtime/start';
import { taskHandlers } from './handlers.ts';

const environment = readEnvironment(process.env);
const logger = createLogger('task-service', environment.LOG_LEVEL);
const health = new Health();
const db = new Database(environment, logger);
const metrics = createMetrics(db);
const app = createService({
  contract: readContract(new URL('../../../generated/task-service.yaml', import.meta.url)),
  handlers: taskHandlers(db, health),
  health,
  metrics,
  logger,
  validateResponses: environment.VALIDATE_RESPONSES,
});
const migrations = { folder: new URL('../migrations/', import.meta.url), schema: 'task_service' };

await start({ app, db, health, metrics, migrations, environment, logger });
