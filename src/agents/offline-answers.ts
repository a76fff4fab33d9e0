import { calculate } from './arithmetic.ts'

/** The most words of a long text, and numbers of a count: enough to fill a screen for a minute. */
const maxWords = 2000
const maxCount = 500
/** What is longer asks for none of these things, and need not be searched for them. */
const maxCommandLength = 300

/** What the offline model says in one language. */
interface Phrases {
  greeting: string
  introduction: string
  help: string
  result(expression: string, value: string): string
  divisionByZero: string
  tooLarge: string
  tooMany: string
  unknown(question: string): string
  sentences: string[]
}

const english: Phrases = {
  greeting: 'Hello!',
  introduction: 'I am offline: no language model is configured on this server, so I answer by fixed rules.',
  help: 'I can repeat what you say (`echo good morning`), count (`count to 20`), calculate (`2 + 2 * 3`) and write a long text (`write 300 words`). Ask for `help` to read this again.',
  result: (expression, value) => `${expression} = ${value}`,
  divisionByZero: 'Nothing can be divided by zero.',
  tooLarge: 'The result is too large for me.',
  tooMany: `I count to ${maxCount} at most.`,
  unknown: (question) =>
    `I have read “${question}”, but I am offline and know no answer to it. Ask for \`help\` to see what I can do.`,
  sentences: [
    'This is a long text by the offline model, which writes the same sentences again and again.',
    'Nobody has thought about them, and nothing in them is news.',
    'They are here so that you can watch a text grow, word by word, on every device that shows this conversation.',
    'You may stop me at any time, and what is written by then will stay.',
    'A model that is configured on this server would have something to say.',
  ],
}

const korean: Phrases = {
  greeting: '안녕하세요!',
  introduction: '저는 오프라인 상태입니다. 이 서버에는 언어 모델이 설정되어 있지 않아서 정해진 규칙으로만 대답합니다.',
  help: '말을 따라 하고(`따라해 좋은 아침`), 숫자를 세고(`20까지 세어 줘`), 계산을 하고(`2 + 2 * 3`), 긴 글을 쓸 수 있습니다(`300단어 써 줘`). 이 안내를 다시 보려면 `도움말`이라고 적어 주세요.',
  result: (expression, value) => `${expression} = ${value}`,
  divisionByZero: '0으로는 나눌 수 없습니다.',
  tooLarge: '결과가 너무 큽니다.',
  tooMany: `저는 ${maxCount}까지만 셀 수 있습니다.`,
  unknown: (question) =>
    `“${question}”라고 하셨지만, 저는 오프라인 상태라서 답을 알지 못합니다. 제가 할 수 있는 일을 보려면 \`도움말\`이라고 적어 주세요.`,
  sentences: [
    '이것은 오프라인 모델이 쓰는 긴 글이며, 같은 문장이 계속 되풀이됩니다.',
    '깊이 생각해서 쓴 글이 아니고, 새로운 소식도 담겨 있지 않습니다.',
    '이 대화를 보여 주는 모든 기기에서 글이 한 단어씩 늘어나는 모습을 볼 수 있습니다.',
    '언제든지 멈출 수 있고, 그때까지 쓴 글은 그대로 남습니다.',
    '서버에 모델이 설정되어 있다면 더 나은 이야기를 들을 수 있습니다.',
  ],
}

/** An answer, or undefined where the text asks for something else. */
type Rule = (text: string, say: Phrases) => string | undefined

const greeted = ({ greeting, help }: Phrases): string => `${greeting} ${help}`

const rules: Rule[] = [
  (text, say) => (/^(help|\/help|도움말?|도와\s*줘.*)[\s.!?]*$/i.test(text) ? say.help : undefined),
  count,
  longText,
  arithmetic,
  (text, say) =>
    /^(hi|hello|hey|good (morning|afternoon|evening)|안녕(하세요|하십니까)?)\b|^안녕/i.test(text) && text.length < 60
      ? greeted(say)
      : undefined,
]

/**
 * What the offline model answers.
 * @param isFirst whether it has not said anything in the conversation yet: then it says what it is
 */
export function offlineAnswer(question: string, isFirst: boolean): string {
  const say = /\p{Script=Hangul}/u.test(question) ? korean : english
  const answer = ruled(question, say)
  if (!isFirst) return answer ?? say.unknown(excerpt(question))
  const isMoreToSay = answer !== undefined && answer !== say.help && answer !== greeted(say)
  if (!isMoreToSay) return `${say.greeting} ${say.introduction} ${say.help}`
  return `${say.greeting} ${say.introduction}\n\n${answer}`
}

const echo: Rule = (text) => /^(?:echo|say|따라\s?해(?:\s?줘|\s?봐)?|말해(?:\s?줘|\s?봐)?)[:\s]+(.+)$/is.exec(text)?.[1]

/** Several messages in a row come as paragraphs of one turn: the last ones that a rule knows are answered. */
function ruled(question: string, say: Phrases): string | undefined {
  const paragraphs = question.split('\n\n')
  // an echo of a whole book has no need of being tried at each of its paragraphs
  const first = Math.max(0, paragraphs.length - 20)
  for (let begin = paragraphs.length - 1; begin >= first; begin--) {
    const text = paragraphs.slice(begin).join('\n\n').trim()
    for (const rule of text.length > maxCommandLength ? [echo] : [echo, ...rules]) {
      const answer = rule(text, say)?.trim()
      if (answer) return answer
    }
  }
  return undefined
}

function count(text: string, say: Phrases): string | undefined {
  const asked =
    /^(?:please\s+)?count\s+(?:up\s+)?to\s+(\d{1,9})\b/i.exec(text) ??
    /(\d{1,9})까지\s*(?:숫자를\s*)?(?:세|셀)/.exec(text)
  if (!asked) return undefined
  const last = Number(asked[1])
  if (last > maxCount) return say.tooMany
  return Array.from({ length: last }, (_, index) => index + 1).join(', ') || '0'
}

function longText(text: string, say: Phrases): string | undefined {
  const asked = /\b(\d{1,6})\s+words\b|(\d{1,6})\s*단어/i.exec(text)
  if (
    !asked &&
    !/^(?:a\s+|write\s+(?:me\s+)?(?:a\s+)?)?long(?:\s+(?:text|answer|story))?[\s.!]*$|긴\s*글|길게/i.test(text)
  )
    return undefined
  const wanted = Math.min(Math.max(1, Number(asked?.[1] ?? asked?.[2] ?? 300)), maxWords)
  const words: string[] = []
  for (let index = 0; words.length < wanted; index++)
    words.push(...(say.sentences[index % say.sentences.length] ?? '').split(' '))
  return words.slice(0, wanted).join(' ')
}

function arithmetic(text: string, say: Phrases): string | undefined {
  const expression = text
    .replace(/^(?:what\s+is|what['’]s|calculate|compute|how\s+much\s+is)\s+/i, '')
    .replace(/(?:[=?.!]|\s|은|는|을|를|얼마(?:야|예요|인가요|입니까)?|계산해?(?:\s?줘)?)+$/, '')
    .trim()
  const result = calculate(expression)
  if (!result) return undefined
  if ('value' in result) return say.result(expression, String(Number(result.value.toPrecision(12))))
  return result.problem === 'too large' ? say.tooLarge : say.divisionByZero
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  const characters = Array.from(line)
  return characters.length > 120 ? `${characters.slice(0, 119).join('')}…` : line
}
