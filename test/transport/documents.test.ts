import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import asyncApiSchema from '@asyncapi/specs/schemas/3.0.0-without-$id.json' with { type: 'json' }
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import express from 'express'
import { z } from 'zod'
import { identityContract } from '../../src/identity/identity.contract.ts'
import { type Contract, type Operation, operation, publicOperation, type Route } from '../../src/kernel/operation.ts'
import { messengerContract, messengerEvents } from '../../src/messenger/messenger.contract.ts'
import { createAsyncApi } from '../../src/transport/asyncapi.ts'
import { createDocs } from '../../src/transport/docs.ts'
import { createOpenApi } from '../../src/transport/openapi.ts'
import type { Json } from '../../src/transport/schemas.ts'
import { sessionContract, sessionEvents } from '../../src/transport/session.contract.ts'

/** Documents are made from declarations alone: nothing here ever runs. */
const neverRuns = (): never => assert.fail('an operation ran')

const declare = (name: string, contract: Contract): Operation => operation(name, contract, neverRuns, 'read')

const declareAll = (contracts: Record<string, Contract>): Operation[] =>
  Object.entries(contracts).map(([name, contract]) => declare(name, contract))

const routes: Route[] = [
  {
    method: 'post',
    path: '/auth/register',
    status: 201,
    tag: 'auth',
    operation: publicOperation('auth:register', identityContract['auth:register'], neverRuns, 'register'),
  },
  {
    method: 'post',
    path: '/auth/logout',
    status: 204,
    tag: 'auth',
    operation: declare('auth:logout', identityContract['auth:logout']),
  },
  { method: 'get', path: '/me', tag: 'account', operation: declare('me:get', identityContract['me:get']) },
  { method: 'patch', path: '/me', tag: 'account', operation: declare('me:update', identityContract['me:update']) },
  { method: 'get', path: '/users', tag: 'account', operation: declare('user:search', identityContract['user:search']) },
  {
    method: 'get',
    path: '/conversations/:conversationId/messages',
    tag: 'messaging',
    operation: declare('message:history', messengerContract['message:history']),
  },
  {
    method: 'post',
    path: '/conversations/:conversationId/messages',
    status: 201,
    tag: 'messaging',
    operation: declare('message:send', messengerContract['message:send']),
  },
  { method: 'post', path: '/sync', tag: 'messaging', operation: declare('sync', messengerContract.sync) },
]

const contracts = { ...messengerContract, ...sessionContract }
const events = { ...messengerEvents, ...sessionEvents }
const openApi = createOpenApi({ routes, version: '1.2.3', serverUrl: 'https://chat.example.org' })
const asyncApi = createAsyncApi({ commands: declareAll(contracts), events, version: '1.2.3' })

/** Every `$ref` of a document. */
function references(part: unknown): string[] {
  if (typeof part !== 'object' || part === null) return []
  return Object.entries(part).flatMap(([key, value]) =>
    key === '$ref' && typeof value === 'string' ? [value] : references(value),
  )
}

/** What stands at a place such as `#/components/schemas/User`. */
const resolve = (document: Json, pointer: string): unknown =>
  pointer
    .slice(2)
    .split('/')
    .reduce<unknown>((part, key) => (part as Json | undefined)?.[key.replaceAll('~1', '/')], document)

const at = (document: Json, pointer: string): Json => {
  const found = resolve(document, pointer)
  assert.ok(found, `nothing at ${pointer}`)
  return found as Json
}

describe('the OpenAPI document', () => {
  test('is valid by the official schema of OpenAPI 3.1', async () => {
    const validator = new Validator()
    const result = await validator.validate(structuredClone(openApi))
    assert.deepEqual(result.errors ?? [], [])
    assert.equal(validator.version, '3.1')
  })

  test('refers only to what it holds', () => {
    const found = references(openApi)
    assert.ok(found.length > 0)
    for (const reference of found) at(openApi, reference)
  })

  test('has schemas that a validator can use, and that tell right from wrong', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    ajv.addSchema(openApi, 'document')
    for (const name of Object.keys(at(openApi, '#/components/schemas'))) {
      assert.ok(ajv.getSchema(`document#/components/schemas/${name}`), name)
    }
    const changed = ajv.compile({ $ref: 'document#/components/schemas/Sent' })
    const sent = { id: 'x', seq: 1, prevChange: 0, change: 1, createdAt: 'x' }
    assert.equal(changed(sent), true)
    assert.equal(changed({ ...sent, seq: -1 }), false)
    assert.equal(changed({ ...sent, addedLater: true }), true, 'answers may gain fields')
  })

  test('has every route, with path parameters, query or body, and the failures to expect', () => {
    const send = at(openApi, '#/paths/~1v1~1conversations~1{conversationId}~1messages/post')
    assert.equal(send.operationId, 'message_send')
    assert.deepEqual(
      (send.parameters as Json[]).map(({ name, in: place, required }) => ({ name, place, required })),
      [{ name: 'conversationId', place: 'path', required: true }],
    )
    const body = at(send, '#/requestBody/content/application~1json/schema')
    assert.deepEqual(body.required, ['clientId'])
    assert.equal(body.additionalProperties, false, 'requests may not bring unknown fields')
    assert.ok(!('conversationId' in (body.properties as Json)))
    assert.deepEqual(at(send, '#/responses/201/content/application~1json/schema'), {
      $ref: '#/components/schemas/Sent',
    })
    assert.deepEqual(Object.keys(send.responses as Json), [
      '201',
      '400',
      '401',
      '403',
      '404',
      '409',
      '413',
      '422',
      '429',
      '500',
      '503',
    ])

    const history = at(openApi, '#/paths/~1v1~1conversations~1{conversationId}~1messages/get')
    assert.deepEqual(
      (history.parameters as Json[]).map(({ name, in: place }) => `${place} ${name}`),
      ['path conversationId', 'query before', 'query after', 'query around', 'query limit'],
    )
    assert.equal(history.requestBody, undefined)
  })

  test('asks for an access token where an operation does', () => {
    assert.deepEqual(at(openApi, '#/paths/~1v1~1me/get').security, [{ accessToken: [] }])
    assert.deepEqual(at(openApi, '#/paths/~1v1~1auth~1register/post').security, [])
  })

  test('promises no body where there is none', () => {
    const logout = at(openApi, '#/paths/~1v1~1auth~1logout/post')
    assert.equal(logout.requestBody, undefined)
    assert.equal(at(logout, '#/responses/204').content, undefined)
  })

  test('refuses two shapes of one name', () => {
    const shaped = (name: string, shape: z.ZodType): Route => ({
      method: 'get',
      path: `/${name}`,
      tag: 'test',
      operation: declare(name, { summary: name, input: z.strictObject({}), output: shape.meta({ id: 'Twice' }) }),
    })
    const twice = [shaped('one', z.object({ a: z.string() })), shaped('two', z.object({ b: z.string() }))]
    assert.throws(() => createOpenApi({ routes: twice, version: '1' }), /Twice/)
  })
})

describe('the AsyncAPI document', () => {
  test('is valid by the official schema of AsyncAPI 3.0', () => {
    const validate = new Ajv({ strict: false, validateFormats: false }).compile(asyncApiSchema)
    validate(JSON.parse(JSON.stringify(asyncApi)))
    assert.deepEqual(validate.errors ?? [], [])
  })

  test('refers only to what it holds', () => {
    for (const reference of references(asyncApi)) at(asyncApi, reference)
  })

  test('has every command with its acknowledgment, and every event', () => {
    const operations = Object.values(asyncApi.operations as Record<string, Json>)
    const names = (action: string): string[] =>
      operations
        .filter((one) => one.action === action)
        .map((one) => String(at(asyncApi, String((one.messages as Json[])[0]?.$ref)).name))
    assert.deepEqual(names('receive'), Object.keys(contracts))
    assert.deepEqual(names('send'), Object.keys(events))
    for (const one of operations) assert.equal(one.action === 'receive', 'reply' in one)
  })

  test('describes acknowledgments as they come', () => {
    const ajv = new Ajv({ strict: false, validateFormats: false })
    ajv.addSchema(asyncApi, 'document')
    const matches = ajv.compile({
      $ref: 'document#/channels/default/messages/acknowledgment.message.delete/payload',
    })
    assert.equal(matches({ ok: true, data: { prevChange: 1, change: 2 } }), true)
    assert.equal(matches({ ok: true, data: { prevChange: 'one' } }), false)
    assert.equal(matches({ ok: false, error: { code: 'not_found', message: 'No.', retryable: false } }), true)
    assert.equal(matches({ ok: false, error: { code: 'nope', message: 'No.', retryable: false } }), false)
  })
})

describe('the pages of the documents', () => {
  const server = createServer(express().use(createDocs({ openApi, asyncApi })))
  let address = ''

  before(async () => {
    await new Promise<void>((resolved) => server.listen(0, '127.0.0.1', resolved))
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => server.close())

  test('are served as JSON', async () => {
    for (const [path, document] of [['/openapi.json', openApi] as const, ['/asyncapi.json', asyncApi] as const]) {
      const response = await fetch(address + path)
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
      assert.deepEqual(await response.json(), JSON.parse(JSON.stringify(document)))
    }
  })

  test('load nothing from elsewhere and run no inline script', async () => {
    const response = await fetch(`${address}/docs`)
    const html = await response.text()
    assert.match(response.headers.get('content-security-policy') ?? '', /script-src 'self'(;|$)/)
    assert.ok(!/<script>|\son\w+=/.test(html))
    const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link ?? '')
    assert.equal(links.length, 4)
    for (const link of links) {
      assert.match(link, /^\/docs\//)
      const asset = await fetch(address + link)
      assert.equal(asset.status, 200, link)
      await asset.arrayBuffer()
    }
  })
})
