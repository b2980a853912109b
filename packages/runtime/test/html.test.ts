import { describe, expect, it } from '@jest/globals';
import { html, markdown } from '@task-manager/runtime/docs/html';

function written(text: string): string {
  return html`${markdown(text)}`.html;
}

describe('html', () => {
  it('takes what is put into it for text, wherever it stands', () => {
    const text = `<b title="it's">R&D</b>`;
    const escaped = '&lt;b title=&quot;it&#39;s&quot;&gt;R&amp;D&lt;/b&gt;';
    expect(html`<p title="${text}">${text}</p>`).toEqual({ html: `<p title="${escaped}">${escaped}</p>` });
  });

  it('takes HTML as it is, numbers, and what stands in an array one after the other', () => {
    const items = ['one', '<two>'].map((text) => html`<li>${text}</li>`);
    expect(html`${items} ${[]}${0} ${html`<hr />`}`.html).toBe('<li>one</li><li>&lt;two&gt;</li> 0 <hr />');
  });
});

describe('markdown', () => {
  it('makes a paragraph of what stands between empty lines', () => {
    expect(written('\none\nline\n\n\ntwo\n')).toBe('<p>one\nline</p><p>two</p>');
  });

  it('knows code and links, of which there may be many', () => {
    expect(written('Send `a b`, then `c`.')).toBe('<p>Send <code>a b</code>, then <code>c</code>.</p>');
    expect(written('See [the docs](/docs) or [RFC 9457](https://rfc.example/9457).')).toBe(
      '<p>See <a href="/docs">the docs</a> or <a href="https://rfc.example/9457">RFC 9457</a>.</p>',
    );
    expect(written('`[no](link)` in [`code`](x)')).toBe('<p><code>[no](link)</code> in <a href="x">`code`</a></p>');
  });

  it('leaves all else as the text that it is', () => {
    for (const text of ['`', '``', '`open', '[a] (b)', '[a](b c)', '[](b)', '[a]()', 'a(b)', '[a]']) {
      expect(written(text)).toBe(`<p>${text}</p>`);
    }
    expect(written('`<b>` & <i>')).toBe('<p><code>&lt;b&gt;</code> &amp; &lt;i&gt;</p>');
    expect(written('[<b>](")')).toBe('<p><a href="&quot;">&lt;b&gt;</a></p>');
  });
});
