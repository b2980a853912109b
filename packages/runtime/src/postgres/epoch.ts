/** Keeps the feed in order when the database moves to a server with other transaction ids (decision 006). */
import pg from 'pg';

/**
 * Opens an epoch of the feed when this server is not the one of the last epoch: after a restore, a failover or a move.
 * @throws {pg.DatabaseError} The server is a standby, for example. End the client after any error.
 */
export async function openEpoch(client: pg.ClientBase, schema: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const query = async <Row extends object>(text: string, values: unknown[] = []) => {
    const limited = { text, values, query_timeout: deadline - performance.now() } as pg.QueryConfig;
    return (await client.query<Row>(limited)).rows;
  };

  const server = await identify(query, schema);
  if (server === null || (await findMissing(query, schema, server)) === undefined) return;
  await query('begin isolation level read committed read write');
  // Waits for the writers of the last epoch; later ones see the new function.
  await query(`lock table ${schema}.events in share row exclusive mode`);
  const epoch = await findMissing(query, schema, server);
  if (epoch !== undefined) {
    await query(`create or replace function ${schema}.with_epoch(transaction_id xid8) returns xid8
                 language sql stable parallel safe
                 as 'select ((${epoch}::bigint << 48) + transaction_id::text::bigint)::text::xid8'`);
    await query(`insert into ${schema}.feed_epochs (epoch, server) values ($1, $2)`, [epoch, server]);
  }
  await query('commit');
}

type Query = <Row extends object>(text: string, values?: unknown[]) => Promise<Row[]>;

/** The system identifier and the timeline, which begins with each promotion and point-in-time recovery; null without a feed. */
async function identify(query: Query, schema: string): Promise<string | null> {
  const select = async (server: string) => {
    const text = `select case when to_regclass($1) is not null then ${server} end as server`;
    return (await query<{ server: string | null }>(text, [`${schema}.feed_epochs`]))[0]?.server ?? null;
  };
  try {
    const timeline = 'left(pg_walfile_name(pg_current_wal_lsn()), 8)';
    return await select(`(select system_identifier from pg_control_system()) || '/' || ${timeline}`);
  } catch (error) {
    // Some providers forbid these functions: only the transaction ids are compared.
    if (error instanceof pg.DatabaseError && error.code === insufficientPrivilege) return select(`'unknown'`);
    throw error;
  }
}

const insufficientPrivilege = '42501';

/** The epoch to open, if any: for another server, or one that has not reached the transaction ids of the last epoch. */
async function findMissing(query: Query, schema: string, server: string): Promise<number | undefined> {
  const [row] = await query<{ epoch: number | null }>(
    `select case
       when transaction_id >= ${schema}.with_epoch(pg_snapshot_xmax(pg_current_snapshot())) then coalesce(epoch, 0) + 1
       when epoch is null then 0
       when server <> $1 then epoch + 1
     end as epoch
     from (select) as always
     left join (select * from ${schema}.feed_epochs order by epoch desc limit 1) as last on true
     left join (select transaction_id from ${schema}.events order by transaction_id desc, position desc limit 1) as event on true`,
    [server],
  );
  return row?.epoch ?? undefined;
}
