/** Preloaded into each replica: ends it, as SIGTERM does, when the launcher is gone, even if that was killed. */
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
// Listening alone must not keep a replica alive.
process.channel?.unref();
