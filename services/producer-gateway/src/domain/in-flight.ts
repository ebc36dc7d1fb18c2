/** Requests being worked on, from their first header to their answer; bounds memory together with the body bounds. */
export type InFlight = {
  count(): number;
  /** Counts one in; the function it gives counts it out again, once. */
  enter(): () => void;
};

export function createInFlight(): InFlight {
  let count = 0;
  return {
    count: () => count,
    enter() {
      count++;
      let inside = true;
      return () => {
        if (inside) count--;
        inside = false;
      };
    },
  };
}
