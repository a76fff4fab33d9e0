import assert from 'node:assert/strict'
import { glob } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import asyncApiSchema from '@asyncapi/specs/schemas/3.0.0-without-$id.json' with { type: 'json' }
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import express from 'express'
import { z } from 'zod'
import { agentsEvents, runsContract } from '../../src/agents/agents.contract.ts'
import { errorStatus } from '../../src/kernel/errors.ts'
import {
  agentOperation,
  type Contract,
  type Operation,
  operation,
  type Route,
  sharedOperation,
} from '../../src/kernel/operation.ts'
import { messengerContract, messengerEvents } from '../../src/messenger/messenger.contract.ts'
import { messengerOperations } from '../../src/messenger/messenger.operations.ts'
import { createAsyncApi } from '../../src/transport/asyncapi.ts'
import { createDocs } from '../../src/transport/docs.ts'
import { createOpenApi } from '../../src/transport/openapi.ts'
import type { Json } from '../../src/transport/schemas.ts'
import { sessionContract, sessionEvents } from '../../src/transport/session.contract.ts'
import { createChecker, operationsOf } from '../support/routes.ts'

/** Documents are made from declarations alone: nothing here ever runs. */
const neverRuns = (): never => assert.fail('an operation ran')

const declare = (name: string, contract: Contract): Operation => operation(name, contract, neverRuns, 'read')

const declareAll = (contracts: Record<string, Contract>): Operation[] =>
  Object.entries(contracts).map(([name, contract]) => declare(name, contract))

/** Stands for every service, and for whatever is asked of one. */
const anything: never = new Proxy(() => {}, { get: () => anything, apply: () => anything }) as never

/** Every route that a feature declares, without the services behind it. */
async function declaredRoutes(): Promise<Route[]> {
  const root = join(import.meta.dirname, '../..')
  const found: Route[] = []
  for await (const file of glob('src/*/*.routes.ts', { cwd: root })) {
    const exported = (await import(join(root, file))) as Record<string, (services: object) => Route[]>
    const services = file.endsWith('messenger.routes.ts') ? messengerOperations(anything) : anything
    for (const routesOf of Object.values(exported)) found.push(...routesOf(services))
  }
  return found
}

const routes = await declaredRoutes()
const contracts = { ...messengerContract, ...runsContract, ...sessionContract }
const events = { ...messengerEvents, ...agentsEvents, ...sessionEvents }
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

const operationOf = (name: string): Json => {
  const found = operationsOf(openApi).get(name)
  assert.ok(found, `the document does not have ${name}`)
  return found
}

/** The codes that a route may answer with that status. */
function codesOf(name: string, status: number): unknown {
  const { $ref } = at(operationOf(name), `#/responses/${status}`) as { $ref: string }
  const { examples, schema } = at(at(openApi, $ref), '#/content/application~1problem+json') as {
    examples: Json
    schema: { allOf: [Json, Json] }
  }
  const { enum: codes } = at(schema.allOf[1], '#/properties/code') as { enum: string[] }
  assert.deepEqual(Object.keys(examples), codes)
  return codes
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

  test('has every route, each operation under a name of its own', () => {
    const names = [...operationsOf(openApi).keys()].filter((name) => name.includes('/v1/'))
    const declared = routes.map(
      ({ method, path }) => `${method.toUpperCase()} /v1${path.replaceAll(/:(\w+)/g, '{$1}')}`,
    )
    assert.deepEqual(names.sort(), declared.sort())
    const ids = [...operationsOf(openApi).values()].map(({ operationId }) => operationId)
    assert.equal(new Set(ids).size, ids.length)
  })

  test('tells what travels in the path, in the query and in the body', () => {
    const send = operationOf('POST /v1/conversations/{conversationId}/messages')
    assert.equal(send.operationId, 'message_send')
    assert.deepEqual(
      (send.parameters as Json[]).map(({ name, in: place, required }) => ({ name, place, required })),
      [{ name: 'conversationId', place: 'path', required: true }],
    )
    assert.equal(at(send, '#/requestBody').required, true)
    const body = at(send, '#/requestBody/content/application~1json/schema')
    assert.deepEqual(body.required, ['clientId'])
    assert.equal(body.additionalProperties, false, 'requests may not bring unknown fields')
    assert.ok(!('conversationId' in (body.properties as Json)))
    assert.deepEqual(at(send, '#/responses/201/content/application~1json/schema'), {
      $ref: '#/components/schemas/Sent',
    })

    const history = operationOf('GET /v1/conversations/{conversationId}/messages')
    assert.deepEqual(
      (history.parameters as Json[]).map(({ name, in: place }) => `${place} ${name}`),
      ['path conversationId', 'query before', 'query after', 'query around', 'query limit'],
    )
    assert.equal(history.requestBody, undefined)

    const remove = operationOf('DELETE /v1/me')
    assert.equal(at(remove, '#/requestBody').required, false)
    assert.ok(at(remove, '#/requestBody/content/application~1json/schema/properties/password'))
    assert.equal(operationOf('DELETE /v1/auth/sessions/{sessionId}').requestBody, undefined)
  })

  test('tells with which failures to expect which codes, and no others', () => {
    const statusesOf = (name: string) => Object.keys(operationOf(name).responses as Json).map(Number)
    const send = 'POST /v1/conversations/{conversationId}/messages'
    assert.deepEqual(statusesOf(send), [201, 400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503])
    assert.deepEqual(codesOf(send, 401), ['unauthenticated', 'token_expired'])
    assert.deepEqual(codesOf(send, 403), ['banned', 'forbidden'])
    assert.deepEqual(codesOf(send, 409), ['idempotency_conflict'])
    assert.deepEqual(codesOf('POST /v1/conversations', 409), ['conflict'])
    assert.deepEqual(codesOf('POST /v1/admin/users/{userId}/ban', 403), ['banned', 'forbidden'])

    assert.deepEqual(statusesOf('GET /v1/auth/providers'), [200, 400, 429, 500, 503])
    assert.deepEqual(statusesOf('POST /v1/auth/login'), [200, 400, 401, 403, 413, 415, 429, 500, 503])
    assert.deepEqual(codesOf('POST /v1/auth/login', 401), ['unauthenticated'])
    assert.deepEqual(statusesOf('GET /v1/me/preferences'), [200, 400, 401, 403, 429, 500, 503])
  })

  test('says when to try again, and which header an access token is missed in', () => {
    const headersOf = (code: string) => Object.keys(at(openApi, `#/components/responses/${code}/headers`))
    assert.ok(headersOf('rate_limited').includes('Retry-After'))
    assert.ok(headersOf('unauthenticated.token_expired').includes('WWW-Authenticate'))
    assert.deepEqual(headersOf('not_found'), ['X-Request-Id'])
  })

  test('asks for an access token where an operation does, and takes an agent’s key where it is for agents too', () => {
    assert.deepEqual(operationOf('GET /v1/me').security, [{ accessToken: [] }])
    assert.deepEqual(operationOf('POST /v1/sync').security, [{ accessToken: [] }, { agentKey: [] }])
    const { securitySchemes } = openApi.components as { securitySchemes: Json }
    assert.deepEqual(Object.keys(securitySchemes), ['accessToken', 'agentKey'])
    assert.deepEqual(operationOf('POST /v1/auth/register').security, [])
  })

  test('promises no body where there is none', () => {
    const logout = operationOf('POST /v1/auth/logout')
    assert.equal(logout.requestBody, undefined)
    assert.equal(at(logout, '#/responses/204').content, undefined)
    const leading = at(operationOf('GET /v1/auth/oauth/{provider}'), '#/responses/302')
    assert.equal(leading.content, undefined)
    assert.ok(at(leading, '#/headers/Location'))
  })

  test('promises files and texts as what they are, and takes what is signed as bytes', () => {
    const file = operationOf('GET /v1/me/export/{jobId}/file')
    assert.deepEqual(at(file, '#/responses/200').content, {
      'application/zip': { schema: { type: 'string', format: 'binary' } },
    })
    const webhook = operationOf('POST /v1/webhooks/tbank')
    assert.deepEqual(Object.keys(at(webhook, '#/requestBody/content')), ['*/*'])
    assert.equal(at(webhook, '#/requestBody').required, true)
    assert.equal(at(webhook, '#/responses/200/content/text~1plain').example, 'OK')
  })

  test('tells of work that is under way, and of the answer once it is done', () => {
    const { responses } = operationOf('GET /v1/me/export') as { responses: Record<string, Json> }
    assert.deepEqual(responses[200]?.content, responses[202]?.content)
    assert.ok(responses[202]?.content)
    assert.ok(!(200 in (operationOf('POST /v1/auth/forgot-password').responses as Json)))
  })

  test('has the key that keeps a payment from being made twice', () => {
    const headersOf = (name: string) =>
      ((operationOf(name).parameters ?? []) as Json[]).filter((one) => one.in === 'header').map((one) => one.name)
    assert.deepEqual(headersOf('POST /v1/credits/checkout'), ['Idempotency-Key'])
    assert.deepEqual(headersOf('POST /v1/billing/subscription/cancel'), [])
  })

  test('takes a file as the form that it comes in, and gives one whole, in part, or not again', () => {
    const form = at(operationOf('POST /v1/uploads'), '#/requestBody/content/multipart~1form-data/schema')
    assert.deepEqual(form.properties, { file: { type: 'string', format: 'binary' } })
    assert.deepEqual(codesOf('POST /v1/uploads', 413), ['payload_too_large'])
    const download = operationOf('GET /v1/media/{attachmentId}/{variant}')
    const statuses = Object.entries(download.responses as Record<string, Json>).filter(([status]) => status < '400')
    assert.deepEqual(
      statuses.map(([status, { content }]) => [status, Object.keys(content ?? {})]),
      [
        ['200', ['*/*']],
        ['206', ['*/*']],
        ['304', []],
      ],
    )
    assert.ok(at(download, '#/responses/416').description)
  })

  test('calls the rows of every list items', () => {
    const list = at(operationOf('GET /v1/conversations'), '#/responses/200/content/application~1json')
    assert.deepEqual(Object.keys(at(list, '#/schema/properties')), ['items', 'nextCursor'])
    assert.deepEqual(at(list, '#/schema').required, ['items'])
    assert.deepEqual(Object.keys(at(list, '#/example')), ['items'])
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

  test('keeps a shape closed that requests bring and answers give back', () => {
    const shared = z.strictObject({ a: z.string() }).meta({ id: 'Shared' })
    const contract = { summary: 'Both ways', input: z.strictObject({ shared }), output: z.object({ shared }) }
    const both: Route = { method: 'post', path: '/both', tag: 'test', operation: declare('both', contract) }
    const { components } = createOpenApi({ routes: [both], version: '1' }) as { components: { schemas: Json } }
    assert.equal((components.schemas.Shared as Json).additionalProperties, false)
  })
})

describe('the examples', () => {
  test('of every route are taken and given by its contract', () => {
    for (const { operation: declared, body } of routes) {
      const { name, contract } = declared
      const { input, output, example, errors = [] } = contract
      assert.ok(example, `${name} has no example`)
      const taken = input.safeParse(example.input ?? {})
      assert.ok(taken.success, `${name}: ${taken.error?.message}`)
      // a file is what it is
      const given = output instanceof z.ZodUnknown ? undefined : output.safeParse(example.output)
      assert.ok(given?.success !== false, `${name}: ${given?.error?.message}`)
      for (const code of errors) assert.ok(code in errorStatus, `${name}: ${code}`)
      if (body) assert.deepEqual(input.safeParse({}).data, {}, `${name} reads bytes and has an input besides`)
    }
  })

  test('stand in the document, everywhere, and as the document has it', () => {
    const check = createChecker(openApi)
    let found = 0
    for (const [name, { parameters = [], requestBody, responses }] of operationsOf(openApi)) {
      const [method = '', path = ''] = name.split(' ')
      const place = ['paths', path, method.toLowerCase()]
      for (const [index, parameter] of (parameters as Json[]).entries()) {
        if (parameter.required) assert.ok('example' in parameter, `${name} has no example of ${parameter.name}`)
        if (!('example' in parameter)) continue
        assert.equal(check(parameter.example, ...place, 'parameters', String(index), 'schema'), '', name)
      }
      const bodies: [string[], Json][] = [
        [['requestBody'], (requestBody ?? {}) as Json],
        ...Object.entries(responses as Record<string, Json>).map(([status, response]): [string[], Json] => {
          const { $ref } = response as { $ref?: string }
          return $ref ? [$ref.slice(2).split('/'), at(openApi, $ref)] : [['responses', status], response]
        }),
      ]
      for (const [where, { content = {} }] of bodies) {
        for (const [type, { example, examples = {} }] of Object.entries(content as Record<string, Json>)) {
          const values = [
            ...(example === undefined ? [] : [example]),
            ...Object.values(examples as Record<string, Json>).map(({ value }) => value),
          ]
          const hasNone = /^(\*\/\*|application\/zip|multipart\/form-data)$/.test(type) || path === '/metrics'
          assert.ok(hasNone || values.length > 0, `${name} has no example: ${where}`)
          const home = where[0] === 'components' ? where : [...place, ...where]
          for (const value of values) assert.equal(check(value, ...home, 'content', type, 'schema'), '', name)
          found += values.length
        }
      }
    }
    assert.ok(found > routes.length)
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

  test('says by what a caller of each command is let in', () => {
    const agentOnly = agentOperation('stream:start', runsContract['stream:start'], neverRuns)
    const shared = sharedOperation('message:send', messengerContract['message:send'], neverRuns)
    const document = createAsyncApi({
      commands: [agentOnly, shared, ...declareAll(sessionContract)],
      events,
      version: '1',
    })
    const credentialsOf = (command: string) =>
      (at(document, `#/operations/command.${command}`).security as { $ref: string }[]).map(({ $ref }) => {
        assert.equal(at(document, $ref).type, 'http')
        return $ref.split('/').at(-1)
      })
    assert.deepEqual(credentialsOf('stream.start'), ['agentKey'])
    assert.deepEqual(credentialsOf('message.send'), ['accessToken', 'agentKey'])
    assert.deepEqual(credentialsOf('session.refresh'), ['accessToken'])
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
