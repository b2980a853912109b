import { readContract } from '@task-manager/runtime/contract/document';
import { Database } from '@task-manager/runtime/postgres/database';
import { readEnvironment } from '@task-manager/runtime/config';
import { Health } from '@task-manager/runtime/http/health';
import { createLogger } from '@task-manager/runtime/http/log';
import { createMetrics } from '@task-manager/runtime/http/metrics';
import { createService } from '@task-manager/runtime/service';
import { start } from '@task-manager/runtime/start';
import { variables } from './config.ts';
import { taskHandlers } from './handlers.ts';
import { Users } from './user-client.ts';

const environment = readEnvironment(process.env, variables);
const logger = createLogger('task-service', environment.LOG_LEVEL);
const health = new Health();
const schema = 'task_service';
const db = new Database(environment, schema, logger);
const users = new Users(environment.USER_SERVICE_URL);
const metrics = createMetrics(db);
const generated = new URL('../../../generated/', import.meta.url);
const server = createService({
  contract: readContract(new URL('task-service.yaml', generated)),
  docs: readContract(new URL('task-manager.yaml', generated)),
  handlers: taskHandlers(health, users),
  db,
  health,
  metrics,
  logger,
  validateResponses: environment.VALIDATE_RESPONSES,
  corsOrigins: environment.CORS_ORIGINS,
  fastLane: environment.FAST_LANE,
  rateLimit: {
    requests: environment.RATE_LIMIT,
    windowS: environment.RATE_LIMIT_WINDOW_S,
    trustedProxies: environment.TRUSTED_PROXIES,
  },
});
const migrations = { folder: new URL('../migrations/', import.meta.url), schema };

const work = (signal: AbortSignal) => users.follow(db, logger, signal);

await start({ server, db, health, metrics, migrations, environment, logger, work });
