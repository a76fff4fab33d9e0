import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Agent } from '../../src/agents/agents.contract.ts'
import { historyOf } from '../messenger/scene.ts'
import { ask } from '../support/agents.ts'
import type { Person } from '../support/people.ts'
import * as on from './scene.ts'

let scene: on.AgentsScene
let ann: Person
let host: Person
let ping: Agent
let pong: Agent
let bystander: Agent
before(async () => {
  scene = await on.startAgentsScene({ AI_CONVERSATION_TOKENS_PER_HOUR: '1000', SIGNUP_CREDITS: '1000' })
  ;[ann, host] = [await scene.person('ann'), await scene.person('host')]
  ping = await on.builtIn(scene.url, host, { modelId: 'm1' })
  pong = await on.builtIn(scene.url, host, { modelId: 'm2' })
  bystander = await on.builtIn(scene.url, host, { modelId: 'm3' })
})
after(() => scene?.end())
beforeEach(() => scene.models.reset())

const usage = { prompt_tokens: 30, completion_tokens: 10 }

test('two agents that mention each other stop after three turns, until a person speaks again', async () => {
  scene.models.script('m1', { chunks: [`Your turn, @${pong.username}`], usage })
  scene.models.script('m2', { chunks: [`And yours, @${ping.username}`], usage })
  const group = await on.gather(ann, ping, pong, bystander)
  const names = new Map(
    [ann, ping, pong, bystander].map(({ id }, place) => [id, ['ann', 'ping', 'pong', 'other'][place]]),
  )
  const senders = async () => (await historyOf(ann, group)).map(({ senderId = '' }) => names.get(senderId))
  // a question to another, whose answer comes after all that is on the way, so that a fourth turn would be seen
  const settle = async (number: number): Promise<void> => {
    await on.say(ann, group, `@${bystander.username} is it quiet now?`)
    assert.equal((await on.answerTo(ann, group, number)).senderId, bystander.id)
  }

  await on.say(ann, group, `@${ping.username} begin`)
  for (const number of [1, 2, 3]) await on.answerTo(ann, group, number)
  await settle(4)
  assert.deepEqual(await senders(), ['ann', 'ping', 'pong', 'ping', 'ann', 'other'])

  // who asked pays for all of it, and neither the agents nor their owner do
  const { items, total } = await on.usageOf(scene.url, ann)
  assert.deepEqual(items.map(({ modelId, runs }) => [modelId, runs]).toSorted(), [
    ['m1', 2],
    ['m2', 1],
    ['m3', 1],
  ])
  assert.equal(total.inputTokens + total.outputTokens, 3 * 40 + 13)
  assert.equal((await on.walletOf(scene.url, ann)).tokens.used, 3 * 40 + 13)
  assert.equal((await on.walletOf(scene.url, host)).tokens.used, 0)

  await on.say(ann, group, `@${pong.username} go on`)
  for (const number of [5, 6, 7]) await on.answerTo(ann, group, number)
  await settle(8)
  assert.deepEqual((await senders()).slice(6), ['ann', 'pong', 'ping', 'pong', 'ann', 'other'])
})

test('an agent that mentions itself does not answer itself', async () => {
  const group = await on.gather(ann, ping, pong)
  scene.models.script('m1', { chunks: [`@${ping.username}, as I say to myself`], usage })
  await on.say(ann, group, `@${ping.username} talk to yourself`)
  assert.equal((await on.answerTo(ann, group)).status, 'sent')
  await on.say(ann, group, `@${pong.username} and you?`)
  assert.equal((await on.answerTo(ann, group, 2)).senderId, pong.id)
})

test('a conversation that has taken its tokens of the hour takes no more, and another does', async () => {
  scene.models.script('m1', { chunks: ['Much'], usage: { prompt_tokens: 900, completion_tokens: 100 } })
  const spender = await scene.person()
  const chat = await on.openChat(spender, 'm1')
  await on.say(spender, chat, 'one')
  assert.equal((await on.answerTo(spender, chat)).status, 'sent')
  await on.say(spender, chat, 'two')
  const { status, error, content } = await on.answerTo(spender, chat, 2)
  assert.deepEqual([status, error, content], ['failed', 'spend_limit', ''])
  assert.equal((await on.walletOf(scene.url, spender)).tokens.used, 1000)
  assert.equal(scene.models.requests.length, 1)
  const other = await on.openChat(spender, 'm1')
  await on.say(spender, other, 'three')
  assert.equal((await on.answerTo(spender, other)).status, 'sent')
})

test('beyond the quota the ledger shows what each turn has cost', async () => {
  const rich = await scene.person()
  const { accessToken } = rich.session
  await ask(scene.url, accessToken, 'PATCH', '/me/wallet', { overageEnabled: true })
  scene.models.script('m1', { chunks: ['All of it'], usage: { prompt_tokens: 99_000, completion_tokens: 1_000 } })
  const first = await on.openChat(rich, 'm1')
  await on.say(rich, first, 'use it up')
  assert.equal((await on.answerTo(rich, first)).usage?.credits, 0, 'the window has room for it')

  scene.models.script('m1', { chunks: [`@${pong.username}`], usage: { prompt_tokens: 100, completion_tokens: 200 } })
  scene.models.script('m2', { chunks: ['The end'], usage: { prompt_tokens: 900, completion_tokens: 100 } })
  const group = await on.gather(rich, ping, pong)
  await on.say(rich, group, `@${ping.username} begin`)
  const credits = [await on.answerTo(rich, group, 1), await on.answerTo(rich, group, 2)].map(
    (one) => one.usage?.credits,
  )
  // one for each thousand of input + 2.5 × output: 600 and 1,150
  assert.deepEqual(credits, [1, 2])
  const { body } = await ask<{ items: { type: string; amount: number }[] }>(
    ...([scene.url, accessToken, 'GET', '/credits/transactions'] as const),
  )
  assert.deepEqual(
    body.items.filter(({ amount }) => amount < 0).map(({ amount }) => amount),
    [-2, -1],
  )
  const wallet = await on.walletOf(scene.url, rich)
  assert.deepEqual([wallet.credits, wallet.held], [997, 0])
})

test('in the books each of these turns has ended, and was charged once or not at all', async () => {
  await on.readBooks(await scene.books())
})
