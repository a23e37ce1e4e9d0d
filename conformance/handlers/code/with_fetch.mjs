export const handler = async (event) => {
  const ask = (id) => fetch(`${process.env.SHOP}/orders`, {
    method: "POST", body: JSON.stringify({ id }), headers: { "content-type": "application/json" },
  });
  const [first] = await Promise.all([ask(event.order), ask("second"), ask("third")]);
  return first.json();
};
