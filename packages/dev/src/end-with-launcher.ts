/** Preloaded into each replica: ends it, as SIGTERM does, when the launcher is gone, even if that was killed. */
const end = () => process.kill(process.pid, 'SIGTERM');
process.on('disconnect', end);
// Listening alone must not keep a replica alive.
process.channel?.unref();
// It was gone before this was loaded.
if (!process.connected) end();
