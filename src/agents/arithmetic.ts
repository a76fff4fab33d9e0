/** What an expression comes to; absent: it is none. */
type Result = { value: number } | { problem: 'division by zero' | 'too large' } | undefined

/** Keeps the depth of parentheses within what the stack takes. */
const maxLength = 200

/** `+ - * / % ^` and parentheses over decimal numbers, as people write them: `×`, `÷`, `−` and `1,000` are understood. */
export function calculate(expression: string): Result {
  const source = expression
    .replaceAll('×', '*')
    .replaceAll('÷', '/')
    .replaceAll('−', '-')
    .replace(/(?<=\d),(?=\d{3}(?!\d))/g, '')
  const tokens = source.match(/\d+(?:\.\d+)?|\.\d+|[-+*/%^()]|\S/g) ?? []
  if (source.length > maxLength || !tokens.some((token) => /^[-+*/%^]$/.test(token))) return undefined
  const read = reader(tokens)
  const value = read.sum()
  if (value === undefined || !read.isAtEnd()) return undefined
  if (Number.isNaN(value)) return { problem: 'division by zero' }
  return Number.isFinite(value) ? { value } : { problem: 'too large' }
}

/** One function for each level of precedence; undefined: what stands there is no expression. NaN: divided by zero. */
function reader(tokens: readonly string[]) {
  let position = 0
  const take = (...wanted: string[]): string | undefined =>
    wanted.includes(tokens[position] ?? '') ? tokens[position++] : undefined

  function chain(operand: () => number | undefined, operators: readonly string[]): number | undefined {
    let value = operand()
    for (let operator = take(...operators); operator && value !== undefined; operator = take(...operators)) {
      const right = operand()
      value = right === undefined ? undefined : apply(operator, value, right)
    }
    return value
  }
  const sum = (): number | undefined => chain(product, ['+', '-'])
  const product = (): number | undefined => chain(signed, ['*', '/', '%'])

  function signed(): number | undefined {
    const sign = take('-', '+')
    if (!sign) return power()
    const value = signed()
    return sign === '-' && value !== undefined ? -value : value
  }

  function power(): number | undefined {
    const base = atom()
    if (base === undefined || !take('^')) return base
    const exponent = signed()
    return exponent === undefined ? undefined : apply('^', base, exponent)
  }

  function atom(): number | undefined {
    if (take('(')) {
      const value = sum()
      return take(')') ? value : undefined
    }
    const token = tokens[position] ?? ''
    if (!/^[\d.]*\d$/.test(token)) return undefined
    position++
    return Number(token)
  }

  return { sum, isAtEnd: (): boolean => position === tokens.length }
}

function apply(operator: string, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '/':
      return right === 0 ? Number.NaN : left / right
    case '%':
      return right === 0 ? Number.NaN : left % right
    default:
      return left === 0 && right < 0 ? Number.NaN : left ** right
  }
}
