import { z } from 'zod'

/** A JSON Schema, or any other part of an API document. */
export type Json = { [key: string]: unknown }

/** Where the named shapes of a document live; both kinds of document keep them there. */
const home = '#/components/schemas/'

/** Turns zod schemas into the JSON Schemas of one document; shapes with an id are written once and referred to. */
export interface Schemas {
  /** What a caller may give. */
  input(schema: z.ZodType): Json
  /** What the server answers. */
  output(schema: z.ZodType): Json
  /** The named shapes met so far: the document's `components.schemas`. */
  readonly components: Record<string, Json>
}

/** @param target the dialect that the kind of document takes */
export function createSchemas(target: 'draft-2020-12' | 'draft-07'): Schemas {
  const components: Record<string, Json> = {}

  function convert(schema: z.ZodType, io: 'input' | 'output'): Json {
    const converted = z.toJSONSchema(schema, {
      target,
      io,
      // a check in code has no JSON Schema: the document says what it can and the server checks the rest
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => simplify(jsonSchema, io === 'output' && !isShared(zodSchema)),
    })
    const { $schema, $defs, definitions, ...root } = rehome(converted) as Json
    for (const [name, shape] of Object.entries({ ...($defs as Json), ...(definitions as Json) })) {
      define(name, shape as Json)
    }
    return root
  }

  function define(name: string, shape: Json): void {
    const known = components[name]
    if (known && JSON.stringify(known) !== JSON.stringify(shape)) {
      throw new Error(`Two different shapes are called ${name}: give one of them another id.`)
    }
    components[name] = shape
  }

  return { components, input: (schema) => convert(schema, 'input'), output: (schema) => convert(schema, 'output') }
}

/** A named shape that refuses unknown fields: requests bring it and answers give it back, so it is closed in both. */
const isShared = (schema: z.core.$ZodType): boolean =>
  schema instanceof z.ZodObject && schema.def.catchall instanceof z.ZodNever && schema.meta()?.id !== undefined

/** Leaves out what says nothing to a reader. `grows`: answers may gain fields without notice, requests bring no unknown ones. */
function simplify(schema: z.core.JSONSchema.BaseSchema, grows: boolean): void {
  // zod's patterns for ids and times are pages long and say what the format says
  if (schema.format !== undefined) delete schema.pattern
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum
  if (grows && schema.additionalProperties === false) delete schema.additionalProperties
}

/** zod puts named shapes beside the schema; documents keep them in one place. */
function rehome(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(rehome)
  if (typeof part !== 'object' || part === null) return part
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) =>
      key === '$ref' && typeof value === 'string'
        ? [key, value.replace(/^#\/(\$defs|definitions)\//, home)]
        : [key, rehome(value)],
    ),
  )
}
