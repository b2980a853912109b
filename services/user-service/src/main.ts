import { runService } from '@task-manager/runtime/start';
import { userHandlers } from './handlers.ts';

await runService({
  name: 'user-service',
  handlers: ({ health }) => userHandlers(health),
});
