import assert from 'node:assert/strict'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { Json } from '../../src/transport/schemas.ts'

/** A request of a route of the document, such as `GET /v1/users/{userId}`. */
export interface Asked {
  /** Path parameters by their names. */
  path?: Record<string, string>
  query?: Record<string, string>
  /** Sent as JSON. */
  body?: object
  /** Sent as it is, in place of `body`. */
  raw?: string
  /** Sent as the file of a form, in place of `body`. */
  file?: File
  as?: { accessToken: string } | undefined
  headers?: Record<string, string>
  /** In place of fetch, such as a browser with its cookies. */
  by?: (url: string, init: RequestInit) => Promise<Response>
}

export interface Answered<T> {
  status: number
  headers: Headers
  /** JSON as what it says, text as a string, anything else as bytes. */
  body: T
}

/** What stands at these keys of a document, references followed. */
export function at(document: Json, ...keys: string[]): Json | undefined {
  let part: unknown = document
  for (const key of keys) {
    part = (part as Json | undefined)?.[key]
    const reference = (part as Json | undefined)?.['$ref']
    if (typeof reference === 'string') part = at(document, ...reference.slice(2).split('/'))
  }
  return part as Json | undefined
}

/** Methods with their paths, such as `GET /v1/me`, and what the document says of them. */
export const operationsOf = (document: Json): Map<string, Json> =>
  new Map(
    Object.entries(document.paths as Record<string, Record<string, Json>>).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation]),
    ),
  )

const formats: Record<string, RegExp> = {
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/,
  date: /^\d{4}-\d\d-\d\d$/,
  email: /^[^\s@]+@[^\s@]+$/,
}

/**
 * Holds values against schemas of the document, by their place in it. Clients have to bear fields that they do not know; here
 * each one counts as a fault, so that nothing gets out which nobody has written down.
 * @returns what is wrong in words, or nothing
 */
export function createChecker(document: Json): (value: unknown, ...place: string[]) => string {
  const ajv = new Ajv2020({ strict: false, allErrors: true, formats })
  ajv.addSchema(closed(document) as Json, 'document')
  const known = new Map<string, ValidateFunction>()
  return (value, ...place) => {
    const pointer = place.map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')
    const validate = known.get(pointer) ?? ajv.compile({ $ref: `document#/${pointer}` })
    known.set(pointer, validate)
    return validate(value) ? '' : `${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)?.slice(0, 1000)}`
  }
}

/** The document with every object closed to fields that it does not name. */
function closed(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(closed)
  if (typeof part !== 'object' || part === null) return part
  const inner = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, closed(value)]))
  const isOpen = inner.type === 'object' && 'properties' in inner && !('additionalProperties' in inner)
  return isOpen ? { ...inner, unevaluatedProperties: false } : inner
}

/** Calls the routes of a server by its own document, and holds every answer against that. */
export async function createCaller(url: string) {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as Json
  const operations = operationsOf(document)
  const check = createChecker(document)
  const succeeded = new Set<string>()
  const refused = new Set<string>()

  async function call(name: string, asked: Asked): Promise<Answered<unknown>> {
    const [method = '', path = ''] = name.split(' ')
    assert.ok(operations.has(name), `the document does not have ${name}`)
    const { path: names = {}, query = {}, body, raw, file, as, headers = {}, by = fetch } = asked
    const search = new URLSearchParams(query).toString()
    const address = path.replaceAll(/\{(\w+)\}/g, (_all, key: string) => encodeURIComponent(names[key] ?? ''))
    const response = await by(`${url}${address}${search && `?${search}`}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(as && { authorization: `Bearer ${as.accessToken}` }),
        ...(body && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...((body ?? raw) !== undefined && { body: raw ?? JSON.stringify(body) }),
      ...(file && { body: formOf(file) }),
    })
    const answered = { status: response.status, headers: response.headers, body: await bodyOf(response) }
    checkAnswer(name, answered)
    return answered
  }

  /** Status, headers, content type and body are as the document says. */
  function checkAnswer(name: string, { status, headers, body }: Answered<unknown>): void {
    const said = `${name}: ${status} ${JSON.stringify(body)?.slice(0, 1000)}`
    const [method = '', path = ''] = name.split(' ')
    const place = ['paths', path, method.toLowerCase(), 'responses', String(status)]
    const described = at(document, ...place)
    assert.ok(described, `a status that the document does not have: ${said}`)
    for (const header of Object.keys(described.headers ?? {})) {
      const isNeeded = header === 'X-Request-Id' || at(document, 'components', 'headers', header)?.required
      if (isNeeded) assert.ok(headers.get(header), `no ${header}: ${said}`)
    }
    const type = headers.get('content-type')?.split(';')[0]
    if (described.content === undefined) {
      assert.deepEqual([type, body], [undefined, undefined], `a body that the document does not have: ${said}`)
      return
    }
    const isOfAnyType = at(described, 'content', '*/*') !== undefined
    assert.ok(type && (isOfAnyType || at(described, 'content', type)), `${type} is not in the document: ${said}`)
    if (Buffer.isBuffer(body)) assert.ok(body.length > 0, said)
    else if (!isOfAnyType)
      assert.equal(check(body, ...home(place), 'content', type, 'schema'), '', `not as the document says: ${said}`)
  }

  /** Where a response stands: there, or among those that several operations have. */
  function home(place: string[]): string[] {
    const reference = (at(document, ...place.slice(0, -1)) as Record<string, Json>)[place.at(-1) ?? '']?.['$ref']
    return typeof reference === 'string' ? reference.slice(2).split('/') : place
  }

  /** A request that is to succeed is one that the document allows. */
  function checkRequest(name: string, { path = {}, query = {}, body, raw, file, headers = {} }: Asked): void {
    const [method = '', address = ''] = name.split(' ')
    const place = ['paths', address, method.toLowerCase()]
    const described = operations.get(name)
    const parameters = (described?.parameters ?? []) as { name: string; in: string; required?: boolean; schema: Json }[]
    for (const [index, parameter] of parameters.entries()) {
      const given = { path, query, header: headers }[parameter.in]?.[parameter.name]
      assert.ok(given !== undefined || !parameter.required, `${name} takes ${parameter.name}`)
      if (given === undefined) continue
      const { type } = parameter.schema
      const value = type === 'integer' || type === 'boolean' ? JSON.parse(given) : given
      assert.equal(check(value, ...place, 'parameters', String(index), 'schema'), '', `${name}, ${parameter.name}`)
    }
    const { required = false, content = {} } = (described?.requestBody ?? {}) as { required?: boolean; content?: Json }
    assert.ok(raw === undefined || content['*/*'], `${name} takes no bytes as they come`)
    assert.ok(file === undefined || content['multipart/form-data'], `${name} takes no file`)
    assert.ok(body !== undefined || raw !== undefined || file !== undefined || !required, `${name} takes a body`)
    if (body === undefined) return
    assert.ok(content['application/json'], `${name} takes no body`)
    const wrong = check(body, ...place, 'requestBody', 'content', 'application/json', 'schema')
    assert.equal(wrong, '', `the document does not allow this request of ${name}`)
  }

  return {
    document,

    /** A call that is to succeed. */
    async ok<T = Json>(name: string, asked: Asked = {}): Promise<Answered<T>> {
      checkRequest(name, asked)
      const answered = await call(name, asked)
      assert.ok(answered.status < 400, `${name}: ${answered.status} ${JSON.stringify(answered.body)}`)
      succeeded.add(name)
      return answered as Answered<T>
    },

    /** A call that is to be refused with that code, which the document then names at the route. */
    async refused(name: string, code: string, asked: Asked = {}): Promise<void> {
      const { status, body } = await call(name, asked)
      assert.equal((body as Json | undefined)?.code, code, `${name}: ${status} ${JSON.stringify(body)}`)
      refused.add(name)
    },

    /** Routes of the document that nothing has called with success, or that nobody was refused at where that is possible. */
    missing(): string[] {
      const canRefuse = ({ responses }: Json) => Object.keys(responses as Json).some((status) => /^4/.test(status))
      return [...operations].flatMap(([name, operation]) => [
        ...(succeeded.has(name) ? [] : [`${name}, with success`]),
        ...(refused.has(name) || !canRefuse(operation) ? [] : [`${name}, with a refusal`]),
      ])
    },
  }
}

function formOf(file: File): FormData {
  const form = new FormData()
  form.append('file', file)
  return form
}

async function bodyOf(response: Response): Promise<unknown> {
  const bytes = Buffer.from(await response.arrayBuffer())
  const type = response.headers.get('content-type')
  if (type === null && bytes.length === 0) return undefined
  if (/[/+]json\b/.test(type ?? '')) return JSON.parse(bytes.toString())
  return type?.startsWith('text/') ? bytes.toString() : bytes
}

export type Caller = Awaited<ReturnType<typeof createCaller>>
