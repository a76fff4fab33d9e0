/** The first place where two sequences part; `undefined` where one of them has ended. `position` counts from 1. */
export type Difference = { position: number; expected: object | undefined; actual: object | undefined }

/** What someone said: what is left of a message when all that the server adds is taken away. */
export type Said = { from: string; text: string }

/**
 * Compares two sequences of flat records, field by field; a field that is absent is one that is undefined. Says where
 * they part first, or nothing where they are the same.
 */
export function firstDifference(expected: readonly object[], actual: readonly object[]): Difference | undefined {
  const length = Math.max(expected.length, actual.length)
  for (let index = 0; index < length; index++) {
    const [a, b] = [expected[index], actual[index]]
    if (a && b && isSame(a, b)) continue
    return { position: index + 1, expected: a, actual: b }
  }
  return undefined
}

/**
 * Compares what each one said, in their own order, whatever others said in between. Where nothing parts, both hold the
 * same messages, each as often. `position` counts the sender's own messages.
 */
export function firstDifferenceOfSenders(expected: readonly Said[], actual: readonly Said[]): Difference | undefined {
  const expectedOf = Map.groupBy(expected, ({ from }) => from)
  const actualOf = Map.groupBy(actual, ({ from }) => from)
  for (const from of new Set([...expectedOf.keys(), ...actualOf.keys()])) {
    const difference = firstDifference(expectedOf.get(from) ?? [], actualOf.get(from) ?? [])
    if (difference) return difference
  }
  return undefined
}

function isSame(a: object, b: object): boolean {
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
  for (const key in left) if (!isSameValue(left[key], right[key])) return false
  for (const key in right) if (!(key in left) && right[key] !== undefined) return false
  return true
}

/** Lists and objects in a message (mentions, reactions) come from one writer: equal ones are written alike. */
function isSameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true
  return typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b)
}
