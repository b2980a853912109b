/** Copies what tsc does not: migrations, the assets of the pages, and the bundle of Redoc with its licenses. */
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

for (const folder of ['docs/assets/', 'postgres/migrations/']) {
  cpSync(new URL(`src/${folder}`, import.meta.url), new URL(`dist/${folder}`, import.meta.url), { recursive: true });
}
const redoc = fileURLToPath(import.meta.resolve('redoc/bundles/redoc.standalone.js'));
for (const end of ['', '.LICENSE.txt']) {
  cpSync(redoc + end, new URL(`dist/docs/assets/redoc.standalone.js${end}`, import.meta.url));
}
