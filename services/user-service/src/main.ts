import { readContract } from '@task-manager/runtime/contract/document';
import { Database } from '@task-manager/runtime/postgres/database';
import { readEnvironment } from '@task-manager/runtime/config';
import { Health } from '@task-manager/runtime/http/health';
import { createLogger } from '@task-manager/runtime/http/log';
import { createMetrics } from '@task-manager/runtime/http/metrics';
import { createService } from '@task-manager/runtime/service';
import { start } from '@task-manager/runtime/start';
import { userHandlers } from './handlers.ts';

const environment = readEnvironment(process.env, {});
const logger = createLogger('user-service', environment.LOG_LEVEL);
const health = new Health();
const schema = 'user_service';
const db = new Database(environment, schema, logger);
const metrics = createMetrics(db);
const server = createService({
  contract: readContract(new URL('../../../generated/user-service.yaml', import.meta.url)),
  handlers: userHandlers(health),
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

await start({ server, db, health, metrics, migrations, environment, logger });
