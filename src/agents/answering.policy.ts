/** Who answers a message: pure rules on rows that the caller has read. */

/** An agent that takes part in a conversation and is run by the server. */
export interface BuiltInAgent {
  id: string
  /** As people see it. */
  name: string
  modelId: string | undefined
  systemPrompt: string | undefined
  temperature: number | undefined
  maxOutputTokens: number | undefined
}

/** What of a conversation decides who answers in it. */
export interface Setting {
  type: 'direct' | 'group' | 'assistant'
  title: string | undefined
  models: string[]
  systemPrompt: string | undefined
  agents: BuiltInAgent[]
}

/** A message that may have to be answered. */
export interface Question {
  seq: number
  messageId: string
  /** The one that is still to answer it, by its key; undefined: whoever it is that the message asks. */
  only: string | undefined
  senderId: string | undefined
  /** By an agent or a model. */
  isByAgent: boolean
  /** Ids of those whom it names. */
  mentions: string[]
  /** Who wrote the message that it replies to. */
  repliesTo: string | undefined
  /** Who pays; undefined: nobody can be asked to. */
  payer: { id: string; isMocked: boolean } | undefined
}

/** Who answers: an agent under its own name, or a model under its. */
export type Answerer = { agent: BuiltInAgent } | { modelId: string }

/** Of one there is at most one open run in a conversation. */
export const keyOf = (answerer: Answerer): string => ('agent' in answerer ? answerer.agent.id : answerer.modelId)

/** So many turns agents may take one after the other before a person has to speak again. */
export const maxAgentTurns = 3

/**
 * Who answers: in a direct conversation the agent that did not write the message; in a group whom it mentions or replies
 * to; in an assistant conversation all of its models, and those a person alone.
 */
function answerersOf(setting: Setting, question: Question): Answerer[] {
  if (!question.payer) return []
  const answerers = askedBy(setting, question)
  return question.only === undefined ? answerers : answerers.filter((answerer) => keyOf(answerer) === question.only)
}

function askedBy({ type, models, agents }: Setting, question: Question): Answerer[] {
  if (type === 'assistant') return question.isByAgent ? [] : models.map((modelId) => ({ modelId }))
  const others = agents.filter(({ id }) => id !== question.senderId)
  const asked =
    type === 'direct' ? others : others.filter(({ id }) => question.mentions.includes(id) || question.repliesTo === id)
  return asked.map((agent) => ({ agent }))
}

/** Each answerer once, with the latest question that it is asked: what came before it is in its context. */
export function latestByAnswerer(
  setting: Setting,
  questions: Question[],
): { answerer: Answerer; question: Question }[] {
  const latest = new Map<string, { answerer: Answerer; question: Question }>()
  for (const question of questions.toSorted((a, b) => a.seq - b.seq)) {
    for (const answerer of answerersOf(setting, question)) latest.set(keyOf(answerer), { answerer, question })
  }
  return [...latest.values()]
}
