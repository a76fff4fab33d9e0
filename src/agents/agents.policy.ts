import { unprocessable } from '../kernel/errors.ts'

/** Agents that one person may have. */
export const maxAgents = 50
/** Keys of one agent that are good at once. */
export const maxKeys = 10

export type AgentKind = 'built_in' | 'external'

/** What the server asks a model with, and so says nothing of a program that answers by itself. */
const ofBuiltIn = ['modelId', 'systemPrompt', 'temperature', 'maxOutputTokens'] as const

/**
 * Whether an agent of that kind can be given these; to take away what is not there is no fault.
 * @throws AppError unprocessable
 */
export function assertFits(kind: AgentKind, given: { [K in (typeof ofBuiltIn)[number]]?: unknown }): void {
  const wrong = kind === 'external' && ofBuiltIn.find((field) => given[field] !== undefined && given[field] !== null)
  if (wrong) throw unprocessable(`${wrong}: only agents that the server runs have one.`)
}

/** @throws AppError unprocessable */
export function assertHasKeys(kind: AgentKind): void {
  if (kind !== 'external') throw unprocessable('Only external agents have keys: this one the server runs itself.')
}
