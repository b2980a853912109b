/** Puts what the pages load into dist/docs/assets/: this package's own assets, and the bundle of Redoc with its licences. */
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const assets = new URL('dist/docs/assets/', import.meta.url);
const redoc = fileURLToPath(import.meta.resolve('redoc/bundles/redoc.standalone.js'));

cpSync(new URL('src/docs/assets/', import.meta.url), assets, { recursive: true });
for (const end of ['', '.LICENSE.txt']) cpSync(redoc + end, new URL(`redoc.standalone.js${end}`, assets));
