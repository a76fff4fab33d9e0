import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { createModels } from '../../src/billing/models.service.ts'
import { startBilling, type TestBilling } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'

let billing: TestBilling
before(async () => {
  billing = await startBilling({ modelProviders: ['openai', 'lab'] })
})
after(() => billing.close())

const idsOf = (models: { id: string }[]) => models.map(({ id }) => id)
const having = (...providers: string[]) => createModels({ database: billing.database, providers })
const setActive = (id: string, isActive: boolean) =>
  billing.database.query(sql`update ai_models set is_active = ${isActive} where id = ${id}`)

describe('the models that can be asked', () => {
  test('are the active ones of configured providers, in the order of the catalogue', async () => {
    assert.deepEqual(idsOf(await billing.models.list()), ['gpt-4o', 'gpt-4o-mini', 'o1', 'o3-mini'])
    assert.deepEqual(idsOf(await having('google', 'anthropic').list()), ['claude-3-opus', 'gemini-2.5-flash'])
    const [first] = await billing.models.list()
    assert.deepEqual(first, {
      id: 'gpt-4o',
      label: 'GPT-4o',
      provider: 'openai',
      contextWindow: 128_000,
      inputPrice: 2.5,
      outputPrice: 10,
    })
  })

  test('do not have those among them that are not active', async () => {
    await setActive('o1', false)
    assert.deepEqual(idsOf(await billing.models.list()), ['gpt-4o', 'gpt-4o-mini', 'o3-mini'])
    await assert.rejects(billing.models.requireUsable(['o1']), withCode('not_found'))
    assert.equal((await billing.models.find('o1'))?.usable, false)
    await setActive('o1', true)
  })

  test('are the offline one alone where no other can be asked; it can be asked everywhere', async () => {
    const offline = { id: 'offline', label: 'Offline', provider: 'offline', contextWindow: 32_000 }
    assert.deepEqual(await having().list(), [{ ...offline, inputPrice: 0, outputPrice: 0 }])
    assert.deepEqual(idsOf(await having('nobody').list()), ['offline'])
    for (const models of [having(), billing.models]) {
      await models.requireUsable(['offline'])
      assert.equal((await models.find('offline'))?.usable, true)
    }
    await setActive('offline', false)
    await billing.models.requireUsable(['offline'])
    await setActive('offline', true)
  })

  test('are named where one is missing', async () => {
    await billing.models.requireUsable(['gpt-4o', 'o1'])
    await billing.models.requireUsable([])
    for (const missing of ['gpt-99', 'claude-3-opus', '']) {
      await assert.rejects(billing.models.requireUsable(['gpt-4o', missing, 'o1']), (error: Error) => {
        assert.ok(withCode('not_found')(error))
        assert.ok(error.message.includes(missing))
        return true
      })
    }
  })
})

test('a model is found whether it can be asked or not', async () => {
  assert.deepEqual(await billing.models.find('claude-3-opus'), {
    id: 'claude-3-opus',
    label: 'Claude 3 Opus',
    provider: 'anthropic',
    contextWindow: 200_000,
    inputPrice: 15,
    outputPrice: 75,
    usable: false,
  })
  assert.equal((await billing.models.find('gpt-4o'))?.usable, true)
  assert.equal(await billing.models.find('gpt-99'), undefined)
})

test('configured models are added at the end, once and at no price; what is there stays as it is', async () => {
  const before = await billing.models.list()
  const configured = [
    { id: 'llama-9', provider: 'lab', contextWindow: 8_192 },
    { id: 'gpt-4o', provider: 'lab', contextWindow: 1 },
    { id: 'aya-2', provider: 'lab', contextWindow: 4_096 },
  ]
  await Promise.all([1, 2, 3].map(() => billing.models.ensure(configured)))
  await billing.models.ensure([])
  const free = { provider: 'lab', inputPrice: 0, outputPrice: 0 }
  assert.deepEqual(await billing.models.list(), [
    ...before,
    { ...free, id: 'llama-9', label: 'llama-9', contextWindow: 8_192 },
    { ...free, id: 'aya-2', label: 'aya-2', contextWindow: 4_096 },
  ])
  await billing.models.ensure([{ id: 'llama-9', provider: 'elsewhere', contextWindow: 1 }])
  assert.equal((await billing.models.find('llama-9'))?.contextWindow, 8_192)
})

test('runs of models without a price are metered by their tokens, at no cost', async () => {
  await billing.models.ensure([{ id: 'free-1', provider: 'lab', contextWindow: 8_192 }])
  const userId = await billing.person()
  for (const modelId of ['free-1', 'offline']) {
    const estimate = { inputTokens: 10, maxOutputTokens: 100, modelIds: [modelId] }
    const { reservationId, tokens, credits } = await billing.meter.reserve({ userId }, estimate)
    assert.deepEqual([tokens, credits], [110, 0])
    const run = { modelId, inputTokens: 10, outputTokens: 20, succeeded: true, processingTimeMs: 5 }
    const { usageLogId } = await billing.meter.settle(reservationId, { models: [run] })
    const [row] = await billing.database.query(
      sql<{ cost: string }>`select actual_cost as cost from usage_logs where id = ${usageLogId ?? null}`,
    )
    assert.equal(Number(row?.cost), 0)
  }
})
