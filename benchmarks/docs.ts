/**
 * `npm run bench:docs -- [URL]`: the time until the docs of a running system (http://localhost:8080) are usable in Chromium
 * at 1280 pixels: from the navigation until the reference shows every operation. Prints the size of each response, and the
 * times of five visits without a cache.
 */
import { chromium, type Browser } from 'playwright-core';
import { findBrowser } from '@task-manager/testing/browser';

const url = process.argv[2] ?? 'http://localhost:8080';
const runs = 5;

const operations = operationIdsIn(await (await fetch(`${url}/docs/openapi.yaml`)).text());
const browser = await chromium.launch({ executablePath: findBrowser(), args: ['--no-sandbox', '--disable-gpu'] });
try {
  const times: number[] = [];
  let answers: string[] = [];
  for (let run = 0; run < runs; run++) {
    const visited = await visit(browser);
    times.push(visited.ms);
    answers = visited.answers;
  }
  console.log(answers.join('\n'));
  const sorted = times.toSorted((one, other) => one - other);
  console.log(`${operations.length} operations, usable after ${times.join(', ')} ms: median ${sorted[runs >> 1]} ms`);
} finally {
  await browser.close();
}

function operationIdsIn(yaml: string): string[] {
  return [...yaml.matchAll(/^ {6}operationId: (\w+)$/gm)].map(([, id = '']) => id);
}

/** In a profile of its own, and so without a cache. */
async function visit(browser: Browser): Promise<{ ms: number; answers: string[] }> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const answers: Promise<string>[] = [];
  page.on('requestfinished', (request) => {
    const path = new URL(request.url()).pathname;
    if (path.startsWith('/')) answers.push(request.sizes().then((sizes) => `${sizes.responseBodySize} bytes  ${path}`));
  });
  await page.addInitScript(`window.usable = new Promise((resolve) => {
    const ids = ${JSON.stringify(operations.map((id) => `operation/${id}`))};
    const isShown = (id) => document.getElementById(id)?.getBoundingClientRect().height > 0;
    const look = () => (ids.every(isShown) ? resolve(performance.now()) : requestAnimationFrame(look));
    look();
  })`);
  await page.goto(`${url}/docs`, { waitUntil: 'commit' });
  const ms = Math.round(await page.evaluate<number>('window.usable'));
  await page.waitForLoadState('networkidle');
  await page.close();
  return { ms, answers: await Promise.all(answers) };
}
