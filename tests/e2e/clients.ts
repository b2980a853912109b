/** Other clients of the Ingress: the demo, a browser, the fuzzer. */
import { chromium } from 'playwright-core';
import { findBrowser } from '@task-manager/testing/browser';
import { run } from '@task-manager/testing/commands';

export async function runDemo(url: string): Promise<string> {
  return (await runAndShow('scripts/demo.sh', [url])).at(-1) ?? '';
}

export async function showDocs(url: string): Promise<string> {
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    args: ['--no-sandbox', '--disable-background-networking'],
  });
  const shown: string[] = [];
  const errors: string[] = [];
  try {
    const page = await browser.newPage();
    page.on('pageerror', ({ message }) => errors.push(message));
    page.on('requestfailed', (request) => {
      const { errorText = '' } = request.failure() ?? {};
      // Navigation aborts the pending requests of the page before.
      if (errorText !== 'net::ERR_ABORTED') errors.push(`${request.url()}: ${errorText}`);
    });
    for (const path of ['/', '/user/', '/docs']) {
      await page.goto(url + path);
      const operations = page.locator('[data-section-id*="operation/"]');
      await operations.last().waitFor({ state: 'attached' });
      shown.push(`${await operations.count()} at ${path}`);
    }
  } finally {
    await browser.close();
  }
  if (errors.length > 0) throw new Error(errors.join(', '));
  return `operations: ${shown.join(', ')}`;
}

export async function fuzz(url: string): Promise<string> {
  const lines = await runAndShow('npm', ['run', '--silent', 'fuzz', '--', url, '--examples', '20']);
  return lines.slice(-3).join('; ');
}

/** Runs a program and prints its output, indented. Resolves with its lines. Throws when it fails. */
export async function runAndShow(command: string, args: string[]): Promise<string[]> {
  const lines: string[] = [];
  const onLine = (line: string) => {
    if (line.trim()) lines.push(line.trim());
    console.log(`   ${line}`);
  };
  if ((await run(command, args, { onLine })) !== 0) throw new Error(`${command} failed: ${lines.at(-1) ?? ''}`);
  return lines;
}
