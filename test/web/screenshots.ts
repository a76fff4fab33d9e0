/**
 * `npm run screenshots`: the pictures of `docs/images`, of a server with people who talk, made by the page as it is. To be
 * looked at before they are committed.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import type { Attachment } from '../../src/media/media.contract.ts'
import { modelEnv, openChat } from '../agents/scene.ts'
import { ask, makeAgent } from '../support/agents.ts'
import { startBackend } from '../support/backend.ts'
import { shows, startBrowser, type TestWindow } from '../support/browser.ts'
import { startModelServer } from '../support/model-server.ts'
import { connect, type Person, register } from '../support/people.ts'
import { hostileTexts } from './hostile.ts'
import { message } from './scene.ts'

const folder = join(import.meta.dirname, '../../docs/images')
await mkdir(folder, { recursive: true })
const models = await startModelServer()
const server = await startBackend({ ...modelEnv(models.url), AI_RAW_MODELS: 'swift-9b=32000,deep-70b=32000,m1=32000' })
const browser = await startBrowser()

async function person(displayName: string, username: string): Promise<Person> {
  const session = await register(server.url, username)
  await ask(server.url, session.accessToken, 'PATCH', '/me', { username, displayName })
  return connect(server.url, session)
}

async function picture(): Promise<Buffer> {
  const drawn = `<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="800">
    <defs><linearGradient id="s" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#24364f"/>
      <stop offset=".6" stop-color="#c98a3a"/><stop offset="1" stop-color="#f3d9a4"/></linearGradient></defs>
    <rect width="1200" height="800" fill="url(#s)"/><circle cx="860" cy="430" r="70" fill="#fbe9c6"/>
    <path d="M0 620 L220 470 L380 590 L560 430 L760 610 L930 520 L1200 660 V800 H0 Z" fill="#1b2535"/>
    <path d="M0 690 L300 610 L620 700 L900 640 L1200 720 V800 H0 Z" fill="#111925"/></svg>`
  return sharp(Buffer.from(drawn)).jpeg().toBuffer()
}

async function upload({ session }: Person, bytes: Buffer, name: string): Promise<Attachment> {
  const form = new FormData()
  form.append('file', new Blob([new Uint8Array(bytes)], { type: 'image/jpeg' }), name)
  const headers = { authorization: `Bearer ${session.accessToken}` }
  return (
    await fetch(`${server.url}/v1/uploads`, { method: 'POST', headers, body: form })
  ).json() as Promise<Attachment>
}

let sent = 0
const say = (who: Person, conversationId: string, content: string, more: object = {}) =>
  who.do('message:send', { conversationId, clientId: `s${++sent}`, content, ...more })

async function take({ page }: TestWindow, name: string): Promise<void> {
  await page.evaluate(() => document.fonts.ready)
  // what fades in has done so
  await page.waitForTimeout(500)
  await writeFile(join(folder, `${name}.png`), await page.screenshot())
  console.log(`docs/images/${name}.png`)
}

try {
  const ann = await person('Ada Lovelace', 'ada')
  const ben = await person('Charles Babbage', 'charles')
  const cat = await person('김민지', 'minji')
  const sage = await makeAgent(server.url, ann, {
    ...{ kind: 'built_in', username: 'sage', displayName: 'Sage', isPublic: true, modelId: 'm1' },
  })
  const answer =
    'Gold for the **joint**, lacquer for the *patience*:\n\n```ts\nconst bowl = pieces.reduce((whole, piece) => ' +
    "join(whole, piece, 'gold'))\n```\n\nNothing is hidden, and so nothing is lost."
  models.script('m1', { chunks: answer.match(/[\s\S]{1,12}/g) ?? [] })

  const { id } = await ann.do('conversation:create', {
    ...{ type: 'group', title: 'Analytical engines', participantIds: [ben.id, cat.id, sage.id] },
  })
  await say(ben, id, 'The mill is back from the workshop. One gear was cracked; they mended it with brass.')
  const question = await say(ann, id, 'Will it still carry the ones over in time?')
  await say(ben, id, 'It does. Look at what we saw on the way home, too.', { replyToId: question.id })
  const photo = await upload(cat, await picture(), 'evening.jpg')
  await say(cat, id, '여기요, 어제 저녁이에요.', { attachmentIds: [photo.id] })
  const asked = await say(ann, id, '@sage what would you mend a bowl with?')
  await ann.hears('messages:updated', ({ conversationId }) => (conversationId as unknown) === id)
  for (const who of [ben, cat])
    await who.do('reaction:add', { conversationId: id, messageId: question.id, emoji: who === ben ? '👍' : '⚙️' })
  for (const who of [ben, cat]) await who.do('receipt:read', { conversationId: id, seq: asked.seq })

  const { id: direct } = await ben.do('conversation:create', { type: 'direct', participantIds: [ann.id] })
  await say(ben, direct, 'Tea at four?')
  await ask(server.url, ben.session.accessToken, 'POST', '/stories', { caption: 'Brass, everywhere' })
  await ask(server.url, cat.session.accessToken, 'POST', '/stories', { attachmentId: photo.id })

  models.script('swift-9b', {
    chunks: ['Fourteen lines, most often of ten syllables each.\n\n- three quatrains\n- one couplet'],
  })
  models.script('deep-70b', {
    chunks: [
      'Fourteen. The **Petrarchan** kind turns after the eighth, the **Shakespearean** before its last two:\n\n' +
        '| kind | rhymes |\n|---|---|\n| Petrarchan | abba abba cde cde |\n| Shakespearean | abab cdcd efef gg |',
    ],
  })
  const compared = await openChat(ann, 'swift-9b', 'deep-70b')
  await ann.do('conversation:update', { conversationId: compared, title: 'Sonnets' })
  await say(ann, compared, 'How many lines has a sonnet?')

  const light = await browser.openAs(server.url, ann.session, `/c/${id}`)
  await shows(message(light.page, 'Nothing is hidden'))
  await light.page.waitForFunction(() => [...document.images].every((image) => image.complete))
  await light.page.getByRole('log').hover()
  await light.page.mouse.wheel(0, 10_000)
  await take(light, 'conversation')

  const dark = await browser.openAs(server.url, ann.session, `/c/${compared}`, { colorScheme: 'dark' })
  await shows(dark.page.locator('.comparison table'))
  await take(dark, 'comparison')

  const phone = { colorScheme: 'dark', locale: 'ko-KR', viewport: { width: 390, height: 844 } } as const
  await take(await browser.openAs(server.url, cat.session, '/', phone), 'phone')

  const { id: harmed } = await cat.do('conversation:create', { type: 'group', title: '<script>alert(1)</script>' })
  for (const content of hostileTexts.filter((text) => text.length < 400).slice(0, 20)) await say(cat, harmed, content)
  const hostile = await browser.openAs(server.url, cat.session, `/c/${harmed}?at=12`)
  await shows(message(hostile.page, 'pwned'))
  await take(hostile, 'hostile-texts')
  for (const who of [ann, ben, cat]) who.close()
} finally {
  await browser.close()
  await server.end()
  await models.close()
}
