const maxLength = 60

/** A conversation's title from its first exchange: the question's first line, and after a single word the answer's too. */
export function titleOf(question: string, answer: string): string | undefined {
  const [asked, answered] = [firstLine(question), firstLine(answer)]
  const title = !asked.includes(' ') && answered !== '' ? [asked, answered].filter(Boolean).join(' – ') : asked
  return title === '' ? undefined : cut(title)
}

const firstLine = (text: string): string =>
  text
    .split('\n')
    .map((line) =>
      line
        .replaceAll(/[#*_`>]/g, '')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .find((line) => line !== '') ?? ''

/** At the end of a word, where there is one in the second half; never within a character. */
function cut(text: string): string {
  const characters = Array.from(text)
  if (characters.length <= maxLength) return text
  const head = characters.slice(0, maxLength - 1).join('')
  const space = head.lastIndexOf(' ')
  return `${space > head.length / 2 ? head.slice(0, space) : head}…`
}
