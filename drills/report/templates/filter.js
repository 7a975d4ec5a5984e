(()=>{
const tools=document.querySelector("form.tools");
if(!tools)return;
tools.hidden=false;
const cells=[...document.querySelectorAll("[data-answer]")],rows=[...document.querySelectorAll("[data-drill]")];
const apply=()=>{
const words=tools.elements.words.value.trim().toLowerCase(),mesh=tools.elements.mesh.value;
const answers=new Set([...tools.querySelectorAll("[name=answer]:checked")].map(it=>it.value));
for(const it of document.querySelectorAll("[data-mesh]"))it.hidden=mesh!==""&&it.dataset.mesh!==mesh;
for(const it of cells)it.classList.toggle("out",!answers.has(it.dataset.answer));
let shown=0;
for(const row of rows){
const inside=row.dataset.answer?[row]:[...row.querySelectorAll("[data-answer]")];
const some=inside.some(it=>!it.classList.contains("out")&&(mesh===""||it.dataset.mesh===mesh));
row.hidden=!(row.dataset.drill.includes(words)&&some);
if(!row.hidden&&row.dataset.answer)shown+=1;
}
tools.querySelector("output").textContent=shown+" of "+rows.filter(it=>it.dataset.answer).length+" runs";
};
tools.addEventListener("input",apply);
tools.addEventListener("submit",it=>it.preventDefault());
apply();
})()
