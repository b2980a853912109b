/** Both services as processes on their own databases, and a superuser of both. */
import type { Config } from '@task-manager/runtime/config';
import { connectAsSuperuser, dropDatabase, newEnvironment } from '@task-manager/testing/harness';
import { spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import type pg from 'pg';

export class Services {
  readonly environments: Config[];
  readonly superusers: pg.Client[];
  readonly #started: ServiceProcess[] = [];

  private constructor(environments: Config[], superusers: pg.Client[]) {
    this.environments = environments;
    this.superusers = superusers;
  }

  static async create(): Promise<Services> {
    const environments = [await newEnvironment('user-service'), await newEnvironment('task-service')];
    return new Services(environments, await Promise.all(environments.map(connectAsSuperuser)));
  }

  /** Changes both databases: connections opened later have the setting. */
  async alter(change: string): Promise<void> {
    await this.onBoth(({ POSTGRES_DB }) => `alter database ${POSTGRES_DB} ${change}`);
  }

  async onBoth(statement: (environment: Config) => string): Promise<void> {
    await Promise.all(
      this.superusers.map((client, index) => client.query(statement(this.environments[index] as Config))),
    );
  }

  /** Starts replicas of the task service after one of the user service. Does not wait until they are ready. */
  async start(replicas = 1, port?: number): Promise<ServiceProcess[]> {
    const [users, tasks] = this.environments as [Config, Config];
    const through = port !== undefined && { POSTGRES_PORT: port };
    const userService = await spawnService('user-service', users, { ...through });
    this.#started.push(userService);
    for (let replica = 0; replica < replicas; replica++) {
      const variables = { ...through, USER_SERVICE_URL: userService.url };
      this.#started.push(await spawnService('task-service', tasks, variables));
    }
    return this.#started;
  }

  async untilReady(): Promise<void> {
    await Promise.all(this.#started.map(({ url }) => untilStatus(200, `${url}/health`)));
  }

  async kill(): Promise<void> {
    for (const { child, exited } of this.#started.splice(0)) {
      child.kill('SIGKILL');
      await exited;
    }
  }

  async drop(): Promise<void> {
    await this.kill();
    await Promise.all(this.superusers.map((client) => client.end()));
    await Promise.all(this.environments.map(dropDatabase));
  }
}
