/** Preloaded into each replica: sends it SIGTERM when the launcher has exited, even if that was killed. */
const end = () => process.kill(process.pid, 'SIGTERM');
process.on('disconnect', end);
// The channel must not keep the replica running.
process.channel?.unref();
// The launcher exited before this was loaded.
if (!process.connected) end();
