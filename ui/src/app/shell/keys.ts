import { useHotkeys } from '@mantine/hooks';

/** `/` goes to the page's search, wherever one is. */
export function useKeys(): void {
  useHotkeys([
    [
      '/',
      () => {
        document.querySelector<HTMLInputElement>('input[type="search"]')?.focus();
      },
    ],
  ]);
}
