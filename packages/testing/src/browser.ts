/** The browser of this machine: playwright-core brings none. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The path of Chromium or Chrome: `CHROME_PATH`, `CHROMIUM_PATH`, or the first in PATH. Throws when there is none. */
export function findBrowser(): string {
  const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = [
    process.env.CHROME_PATH ?? '',
    process.env.CHROMIUM_PATH ?? '',
    ...names.flatMap((name) => folders.map((folder) => join(folder, name))),
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
  ].find((path) => existsSync(path));
  if (found) return found;
  const error = new Error('No browser found: install Chromium or Chrome, or set CHROME_PATH to one.');
  error.stack = error.message;
  throw error;
}
